"""A job's results: in which order they come back, how a consumer waits for them, how a job ends.

Owns the consumer's side, in threads and on the loop. Knows an Engine only by its contract, and of the
handler only what Owner says: no sockets, no session, no runner.
"""

import asyncio
import logging
import secrets
import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any, Generic, Literal, NamedTuple, Protocol, Self, TypeVar

from databench.engines.contract import Engine
from databench.errors import AnalysisError, Cancelled, JobError, PayloadError, RemoteProtocolError, TaskError
from databench.feeding import Feed
from databench.wire import codec
from databench.wire.chunks import Failure

log = logging.getLogger(__name__)

R = TypeVar("R")


class Owner(Protocol):
    """What a job needs to know of whoever it belongs to."""

    @property
    def engine(self) -> Engine:
        """What runs the chunks."""

    def check(self) -> None:
        """Raise Cancelled when the handler is to stop."""

    def add(self, job: "Job[Any]") -> None:
        """Take in a job that begins."""

    def remove(self, job: "Job[Any]") -> None:
        """Let go of a job that is over."""


class Progress(NamedTuple):
    """How far a job is, in items; `total` is None where the iterables have no length."""

    done: int
    total: int | None


class _Arrival(NamedTuple):
    chunk: int
    seconds: float
    reason: str | None
    payload: bytes


class Job(Generic[R]):
    """Results of a task for many items, as they come. Made by `map`; one consumer at a time.

    `for x in job` in a plain handler, `async for x in job` in an async one; `job.result()` or `await job`
    for the list of all, in the order of the items. Leaving `with job:` cancels what is not finished.
    After `cancel` an iteration ends without a word, and `result` raises JobError.

    Raises TaskError when the task raised for an item, JobError when a chunk was lost more than `retries`
    times, and whatever the iterables raise. The rest of the job is cancelled then.
    """

    def __init__(self, owner: Owner, feed: Feed, *, ordered: bool) -> None:
        self.name = secrets.token_hex(8)
        self._owner = owner
        self._feed = feed
        self._ordered = ordered
        self._changed = threading.Condition()
        self._arrived: deque[_Arrival] = deque()
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._answered: set[int] = set()
        self._held: dict[int, list[R]] = {}
        self._next_chunk = 0
        self._ready: deque[R] = deque()
        self._done_items = 0
        self._end: BaseException | Literal["finished", "cancelled", "stopped"] | None = None
        self._result: list[R] | None = None
        owner.add(self)
        try:
            self._fill()
        except PayloadError:
            raise
        except Exception as error:
            # The iterable's own: _end keeps it for the consumer.
            log.debug("the items of a job raised %r", error)

    # For the author

    @property
    def progress(self) -> Progress:
        """Items whose results are here, and how many there are."""
        return Progress(self._done_items, self._feed.total)

    def cancel(self) -> None:
        """Cancel what is not finished. From any thread; does nothing to a job that is over."""
        self._over("cancelled")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()

    def __iter__(self) -> Iterator[R]:
        return self

    def __next__(self) -> R:
        while not self._ready:
            if (chunk := self._wait_for_chunk()) is None:
                raise StopIteration
            self._ready.extend(chunk[1])
        self._owner.check()
        return self._ready.popleft()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        while not self._ready:
            if (chunk := await self._next_async()) is None:
                raise StopAsyncIteration
            self._ready.extend(chunk[1])
        return self._ready.popleft()

    def result(self) -> list[R]:
        """Wait for all results that were not yet iterated over and return them in the order of the items."""
        if self._result is None:
            chunks: dict[int, list[R]] = {-1: list(self._ready)}
            while (chunk := self._wait_for_chunk()) is not None:
                chunks[chunk[0]] = chunk[1]
            self._collect(chunks)
        return self._collected()

    def __await__(self) -> Generator[Any, None, list[R]]:
        return self._gather().__await__()

    async def _gather(self) -> list[R]:
        if self._result is None:
            chunks: dict[int, list[R]] = {-1: list(self._ready)}
            while (chunk := await self._next_async()) is not None:
                chunks[chunk[0]] = chunk[1]
            self._collect(chunks)
        return self._collected()

    def _collect(self, chunks: dict[int, list[R]]) -> None:
        if self._end == "finished":
            self._ready.clear()
            self._result = [value for number in sorted(chunks) for value in chunks[number]]

    def _collected(self) -> list[R]:
        if self._result is None:
            raise JobError("the job was cancelled")
        return self._result

    # For the engine (any thread)

    def done(self, chunk: int, seconds: float, payload: bytes) -> None:
        """Take the results of a chunk."""
        self._arrive(_Arrival(chunk, seconds, None, payload))

    def failed(self, chunk: int, reason: str, payload: bytes) -> None:
        """Learn that a chunk failed."""
        self._arrive(_Arrival(chunk, 0.0, reason, payload))

    def stop(self) -> None:
        """End the job with its scope: whoever waits for it gets Cancelled."""
        self._over("stopped")

    def _arrive(self, arrival: _Arrival) -> None:
        with self._changed:
            if self._end is not None or arrival.chunk in self._answered or arrival.chunk not in self._feed.spans:
                return
            self._answered.add(arrival.chunk)
            if arrival.reason is None:
                self._done_items += len(self._feed.spans[arrival.chunk])
            self._arrived.append(arrival)  # at most one for each chunk of the look-ahead
            self._wake()

    def _wake(self) -> None:
        self._changed.notify_all()
        if self._waiter is not None:
            loop, waiter = self._waiter
            self._waiter = None
            with suppress(RuntimeError):  # its loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(_resolve, waiter)

    def _over(self, end: BaseException | Literal["finished", "cancelled", "stopped"]) -> None:
        with self._changed:
            if self._end is not None:
                return
            self._end = end
            self._arrived.clear()
            self._wake()
        if end != "finished":
            self._owner.engine.cancel(self.name)
        self._owner.remove(self)

    # One step of the consumer, shared by threads and the loop

    def _step(self) -> tuple[int, list[R]] | Literal["wait", "again", "over"]:
        """Return the next chunk's number and results, or what else the consumer is to do."""
        self._sort()
        chunk = self._take()
        more = self._fill()
        match self._end:
            case BaseException():
                raise self._end
            case "stopped":
                raise Cancelled
            case "cancelled":
                return "over"
        if chunk is not None:
            return chunk
        if more:
            return "again"
        if self._feed.exhausted and not self._feed.spans:
            self._over("finished")
            return "over"
        return "wait"

    def _sort(self) -> None:
        """Take in what has arrived. The first failure ends the job."""
        with self._changed:
            arrived = list(self._arrived)
            self._arrived.clear()
        for arrival in arrived:
            span = self._feed.spans[arrival.chunk]
            try:
                if arrival.reason is not None:
                    return self._over(_error(arrival.reason, arrival.payload, span))
                self._held[arrival.chunk] = codec.unpack(arrival.payload)
            except RemoteProtocolError as error:
                return self._over(JobError(f"the answer of a worker cannot be read: {error}"))
            self._feed.chunking.learned(len(span), arrival.seconds)
        return None

    def _take(self) -> tuple[int, list[R]] | None:
        if not self._held:
            return None
        number = self._next_chunk if self._ordered else next(iter(self._held))
        if (values := self._held.pop(number, None)) is None:
            return None
        self._next_chunk = number + 1
        with self._changed:
            self._answered.discard(number)
            del self._feed.spans[number]
        return number, values

    def _fill(self) -> bool:
        """Submit chunks for a moment, within the look-ahead; return whether there is more to submit."""
        if self._end is not None:
            return False
        try:
            return self._feed.run(self._owner.engine, self.name, self)
        except BaseException as error:
            self._over(error)
            raise

    def _wait_for_chunk(self) -> tuple[int, list[R]] | None:
        _refuse_loop()
        while True:
            self._owner.check()
            step = self._step()
            if isinstance(step, tuple):
                return step
            if step == "over":
                return None
            if step == "wait":
                with self._changed:
                    self._changed.wait_for(lambda: self._arrived or self._end is not None)

    async def _next_async(self) -> tuple[int, list[R]] | None:
        while True:
            step = self._step()
            if isinstance(step, tuple):
                return step
            if step == "over":
                return None
            if step == "again":
                await asyncio.sleep(0)  # others get their turn between two slices of a long look-ahead
                continue
            loop = asyncio.get_running_loop()
            waiter = loop.create_future()
            with self._changed:
                if self._arrived or self._end is not None:
                    continue
                self._waiter = (loop, waiter)
            await waiter


class Submitted(Generic[R]):
    """One call of a task, made by `submit`: `result()` in a plain handler, `await` in an async one."""

    def __init__(self, job: Job[R]) -> None:
        self._job = job

    def result(self) -> R:
        """Wait for what the task returns. Raises TaskError, JobError or Cancelled as a Job does."""
        return self._job.result()[0]

    def __await__(self) -> Generator[Any, None, R]:
        return (yield from self._job.__await__())[0]

    @property
    def progress(self) -> Progress:
        """(0, 1), and (1, 1) when the result is here."""
        return self._job.progress

    def cancel(self) -> None:
        """Cancel the call unless it is over; `result` raises JobError then."""
        self._job.cancel()


def _refuse_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise AnalysisError(
        "waiting for a job here would block everything else; in an async handler use "
        "`async for x in job`, or `await job` for all results"
    )


def _error(reason: str, payload: bytes, span: range) -> JobError:
    failure = Failure.from_bytes(payload)
    where = f"item {span[0]}" if len(span) == 1 else f"items {span[0]} to {span[-1]}"
    if reason != "raised":
        return JobError(f"{where}: {reason}: {failure.message}")
    item = span[failure.item] if failure.item is not None else span[0]
    return TaskError(
        f"{failure.type}: {failure.message} (item {item})",
        type_name=failure.type,
        remote_traceback=failure.traceback,
        item=item,
    )


def _resolve(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
