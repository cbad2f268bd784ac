"""The engine that runs chunks on an existing Dask cluster.

Owns a thread with a loop and a client of the scheduler on it. A bounded number of chunks is at the scheduler, the
others wait here and take turns. Only the name of a task and bytes travel; `dask_chunk` runs them there.
"""

import asyncio
import logging
import threading
import warnings
from concurrent.futures import CancelledError as FutureCancelled
from contextlib import suppress
from itertools import count
from typing import Any

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from databench.engines.contract import Order, Sink
from databench.engines.dask_chunk import run_chunk
from databench.engines.waiting import Line, Waiting
from databench.wire.chunks import Failure
from databench.wire.parts import Parts, Source, joined

log = logging.getLogger("databench.jobs")

AT_SCHEDULER = 16
"""Chunks that are at the scheduler besides two for each slot; a cluster that grows on demand sees them waiting."""
WATCH = 0.5
"""Seconds between two looks for the number of slots and for the connection."""
CONNECTING = 5.0
CLOSING = 5.0

Key = tuple[str, int]


class DaskEngine:
    """Runs chunks on the workers of the Dask scheduler at `address`, such as `tcp://head:8786`.

    Connects by itself, again and again; chunks wait until there is a scheduler. `close` ends it.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._line = Line()
        self._unanswered: dict[Key, Waiting] = {}
        self._lost: dict[Key, int] = {}
        self._running: dict[Key, Future[Any]] = {}
        self._attempts = count()
        self._capacity = 0
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._news = asyncio.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="databench-dask", daemon=True)
        self._thread.start()

    # From any thread

    @property
    def capacity(self) -> int:
        """Threads of all workers of the cluster, as the scheduler last told."""
        return self._capacity

    def hold(self, task: str, parts: Parts) -> bytes:
        """Return the calls of a chunk in one piece."""
        return joined(parts)

    def submit(self, order: Order, payload: Source, sink: Sink) -> None:
        """Have a chunk run; it is kept until it is answered."""
        waiting = Waiting(order, payload, sink)
        with self._lock:
            if self._closed:
                return
            self._unanswered[order.job, order.chunk] = waiting
            self._line.add(waiting)
        self._wake()

    def cancel(self, job: str) -> None:
        """Forget the chunks of a job. What runs already goes on to its end: a thread cannot be ended."""
        with self._lock:
            self._line.cancel(job)
            for key in [key for key in self._unanswered if key[0] == job]:
                del self._unanswered[key]
                self._lost.pop(key, None)
        self._wake()

    def close(self) -> None:
        """Forget all chunks and leave the cluster."""
        with self._lock:
            self._closed = True
            self._line = Line()
            self._unanswered.clear()
        self._wake()
        self._thread.join(CLOSING)

    def _wake(self) -> None:
        with suppress(RuntimeError):  # closed
            self._loop.call_soon_threadsafe(self._news.set)

    # In the thread

    def _run(self) -> None:
        # Arguments travel with the call, as they do to a worker of ours.
        warnings.filterwarnings("ignore", message="Sending large graph", category=UserWarning)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._connect_again_and_again())

    async def _connect_again_and_again(self) -> None:
        told = False
        while not self._closed:
            try:
                async with Client(self._address, asynchronous=True, set_as_default=False, timeout=CONNECTING) as client:
                    log.info("joined the Dask scheduler at %s", self._address)
                    told = False
                    await self._serve(client)
            except Exception as error:  # whatever it is: without this thread chunks would wait for ever
                if not told:
                    log.warning("no Dask scheduler at %s (%r); waiting for it", self._address, error)
                told = True
                await asyncio.sleep(WATCH)

    async def _serve(self, client: Client) -> None:
        """Hand chunks to the scheduler until the connection or this engine ends."""
        try:
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(self._watch(client))
                while not self._closed and client.status == "running" and not watch.done():
                    await self._drop_cancelled(client)
                    self._hand_over(client, tasks)
                    await self._something_new()
                watch.cancel()
                await self._drop(client, list(self._running.values()))
        finally:
            self._capacity = 0
            self._running.clear()
            with self._lock:
                # The next scheduler gets all that is not answered, in the order in which it was submitted.
                self._line = Line()
                for waiting in self._unanswered.values():
                    self._line.add(waiting)

    async def _watch(self, client: Client) -> None:
        """Ask for the number of slots; return when nobody answers any more."""
        while client.status == "running":
            try:
                async with asyncio.timeout(CONNECTING):
                    capacity = sum((await client.nthreads()).values())
            except (OSError, TimeoutError):
                break
            if capacity != self._capacity:
                self._capacity = capacity
                self._news.set()
            await asyncio.sleep(WATCH)
        self._news.set()

    async def _something_new(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(WATCH):
                await self._news.wait()
        self._news.clear()

    async def _drop_cancelled(self, client: Client) -> None:
        with self._lock:
            dropped = [future for key, future in self._running.items() if key not in self._unanswered]
        await self._drop(client, dropped)

    async def _drop(self, client: Client, futures: list[Future[Any]]) -> None:
        # The tasks that await them end by this. Cancelling those instead would take others with them, whose
        # results the client gathers by the same call.
        if futures:
            await client.cancel(futures, reason="databench-cancelled")

    def _hand_over(self, client: Client, tasks: asyncio.TaskGroup) -> None:
        while len(self._running) < AT_SCHEDULER + 2 * self._capacity:
            with self._lock:
                if not len(self._line):
                    return
                waiting = self._line.take()
            order = waiting.order
            key = f"databench-{order.job}-{order.chunk}-{next(self._attempts)}"
            future = client.submit(
                run_chunk, order.task, waiting.payload[:], order.timeout, key=key, pure=False, priority=order.priority
            )
            self._running[order.job, order.chunk] = future
            tasks.create_task(self._follow(waiting, future))

    async def _follow(self, waiting: Waiting, future: Future[Any]) -> None:
        """Pass the answer of one chunk on."""
        order = waiting.order
        try:
            reason, seconds, payload = await future
        except KilledWorker as error:
            self._lose(waiting, error)
        except (FutureCancelled, OSError, TimeoutError):  # the connection: what tasks raise comes as a result
            self._again(waiting)
        except Exception as error:
            why = f"a Dask worker cannot run chunks ({type(error).__name__}: {error}); is databench installed there?"
            self._fail(order, "refused", Failure(None, "Refused", why, ""))
        else:
            self._answer(order, reason, seconds, payload)
        finally:
            future.release()
            self._running.pop((order.job, order.chunk), None)
            self._news.set()

    def _lose(self, waiting: Waiting, error: Any) -> None:
        """Run a chunk again that was running on a worker that died, as often as it may be."""
        key = waiting.order.job, waiting.order.chunk
        lost = self._lost[key] = self._lost.get(key, 0) + error.allowed_failures + 1
        if lost <= waiting.order.retries:
            self._again(waiting)
            return
        why = f"{lost} Dask workers died that ran it, the last of them {error.last_worker.address}"
        self._fail(waiting.order, "lost", Failure(None, "Lost", why, ""))

    def _again(self, waiting: Waiting) -> None:
        with self._lock:
            if (waiting.order.job, waiting.order.chunk) in self._unanswered:
                self._line.add_first(waiting)

    def _fail(self, order: Order, reason: str, failure: Failure) -> None:
        self._answer(order, reason, 0.0, failure.to_bytes())

    def _answer(self, order: Order, reason: str, seconds: float, payload: bytes) -> None:
        with self._lock:
            answered = self._unanswered.pop((order.job, order.chunk), None)
            self._lost.pop((order.job, order.chunk), None)
        if answered is None:
            return
        if reason == "done":
            answered.sink.done(order.chunk, seconds, payload)
        else:
            answered.sink.failed(order.chunk, reason, payload)
