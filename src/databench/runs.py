"""One run of a handler: whether it is to stop, and what wakes it where it waits. Knows no session and no loop."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from databench.errors import Cancelled


class Run:
    """One run of a handler. Its threads and asyncio tasks share it through `current_run`."""

    __slots__ = ("_lock", "_wakes", "cancelled", "outlives", "signal")

    def __init__(self, signal: str) -> None:
        self.signal = signal
        self.outlives = signal == "disconnect"
        """Whether it runs after the end of its session."""
        self.cancelled = False
        """Whether it is to stop; read without a lock at every `emit`."""
        self._lock = threading.Lock()
        self._wakes: list[Callable[[], object]] = []

    def check(self) -> None:
        """Raise Cancelled when this run is to stop."""
        if self.cancelled:
            raise Cancelled(f"the handler of {self.signal!r} was cancelled")

    def cancel(self) -> None:
        """Make it stop at its next step, and wake it where it waits. From any thread."""
        with self._lock:
            self.cancelled = True
            wakes = list(self._wakes)
        for wake in wakes:  # Without the lock: they take locks of their own.
            wake()

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """Have `wake` called when the run is cancelled in this block; look at `cancelled` before you wait."""
        with self._lock:
            self._wakes.append(wake)
        try:
            yield
        finally:
            with self._lock:
                self._wakes.remove(wake)


current_run: ContextVar[Run | None] = ContextVar("current_run", default=None)
"""The run of the handler that this context belongs to."""
