"""The engine of tests and notebooks: threads of this process.

Chunks pass through the codec as they do on the bus, so what works here works there. A thread cannot be ended:
a cancelled chunk that runs is left to finish and its results are dropped. Nothing is ever `lost`.
"""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from databench.engines.contract import Order, Sink
from databench.tasks import perform


class LocalEngine:
    """Runs chunks in `slots` threads.

    >>> with LocalEngine(slots=2) as engine:
    ...     engine.capacity
    2
    """

    def __init__(self, slots: int | None = None) -> None:
        self._slots = slots or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._slots, thread_name_prefix="databench-slot")
        self._live: dict[tuple[str, int], Sink] = {}
        self._lock = threading.Lock()

    @property
    def capacity(self) -> int:
        """The number of threads."""
        return self._slots

    def submit(self, order: Order, payload: bytes, sink: Sink) -> None:
        """Run a chunk as soon as a thread is free."""
        key = (order.job, order.chunk)
        with self._lock:
            self._live[key] = sink
        self._pool.submit(self._run, key, order.task, payload)

    def cancel(self, job: str) -> None:
        """Forget the chunks of a job; those that wait are not begun."""
        with self._lock:
            for key in [key for key in self._live if key[0] == job]:
                del self._live[key]

    def close(self) -> None:
        """Wait for the chunks that run, and end the threads."""
        with self._lock:
            self._live.clear()
        self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> "LocalEngine":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _run(self, key: tuple[str, int], task: str, payload: bytes) -> None:
        if key not in self._live:
            return
        ran = perform(task, payload)
        with self._lock:
            sink = self._live.pop(key, None)
        if sink is None:
            return
        if ran.failed:
            sink.failed(key[1], "raised", ran.payload)
        else:
            sink.done(key[1], ran.seconds, ran.payload)
