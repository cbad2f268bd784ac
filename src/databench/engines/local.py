"""The engine of tests and notebooks: threads of this process.

Chunks pass through the codec as they do on the bus, so what works here works there. A thread cannot be ended:
a chunk that is cancelled or over its time while it runs is left to finish, and its results are dropped. Nothing is
ever `lost`.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Self

from databench.engines.contract import Order, Sink
from databench.engines.waiting import Line, Waiting
from databench.performing import perform
from databench.wire.chunks import Failure
from databench.wire.parts import Parts, Source, joined

CLOSING = 5.0
"""Seconds for which `close` waits for chunks that run."""


class LocalEngine:
    """Runs chunks in `slots` threads.

    >>> with LocalEngine(slots=2) as engine:
    ...     engine.capacity
    2
    """

    def __init__(self, slots: int | None = None) -> None:
        self._slots = slots or os.cpu_count() or 1
        self._line = Line()
        self._unanswered: dict[tuple[str, int], Sink] = {}
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def capacity(self) -> int:
        """The number of threads."""
        return self._slots

    def hold(self, task: str, parts: Parts) -> bytes:
        """Return the calls of a chunk in one piece."""
        return joined(parts)

    def submit(self, order: Order, payload: Source, sink: Sink) -> None:
        """Run a chunk as soon as a thread is free."""
        with self._changed:
            if self._closed:
                return
            self._unanswered[order.job, order.chunk] = sink
            self._line.add(Waiting(order, payload, sink))
            self._changed.notify()
            if len(self._line) > self._idle and len(self._threads) < self._slots:
                thread = threading.Thread(target=self._work, name="databench-slot", daemon=True)
                self._threads.append(thread)
                thread.start()

    def cancel(self, job: str) -> None:
        """Forget the chunks of a job; those that wait are not begun."""
        with self._changed:
            self._line.cancel(job)
            for key in [key for key in self._unanswered if key[0] == job]:
                del self._unanswered[key]

    def close(self) -> None:
        """Forget all chunks and end the threads; one that runs a chunk for longer than 5 s is left behind."""
        with self._changed:
            self._closed = True
            self._line = Line()
            self._unanswered.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(CLOSING)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _work(self) -> None:
        while (waiting := self._next()) is not None:
            self._run(waiting)

    def _next(self) -> Waiting | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._closed or len(self._line))
            self._idle -= 1
            return None if self._closed else self._line.take()

    def _run(self, waiting: Waiting) -> None:
        order = waiting.order
        with self._limited(order) if order.timeout else nullcontext():
            ran = perform(order.task, waiting.payload)
        if (sink := self._answered(order)) is None:
            return
        if ran.failed:
            sink.failed(order.chunk, "raised", ran.payload)
        else:
            sink.done(order.chunk, ran.seconds, ran.payload)

    @contextmanager
    def _limited(self, order: Order) -> Iterator[None]:
        timer = threading.Timer(order.timeout, self._timed_out, [order])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _timed_out(self, order: Order) -> None:
        if (sink := self._answered(order)) is not None:
            failure = Failure(None, "TimeoutError", f"it took longer than {order.timeout:g} s", "")
            sink.failed(order.chunk, "timeout", failure.to_bytes())

    def _answered(self, order: Order) -> Sink | None:
        """Return who gets the answer; None where it was answered before or is not wanted any more."""
        with self._changed:
            return self._unanswered.pop((order.job, order.chunk), None)
