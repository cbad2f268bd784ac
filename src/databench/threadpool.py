"""The threads in which plain handlers run: each has one while it runs, and the next handler gets it after that.

Starting a thread for every signal would cost more than the signal. Knows no handler and no session.
"""

import logging
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue

log = logging.getLogger(__name__)

THREADS = 256
"""Plain handlers that run at the same time in one runner; one more waits."""
_MOST = 10_000
"""Threads at most, with those of `disconnect` handlers, which never wait."""

Function = Callable[[], object]
Orders = SimpleQueue[Function | None]
"""What a thread is to do, one after the other; None at its end."""


class Threads:
    """Threads of one process, and how many plain handlers run in them. Belongs to the event loop's thread."""

    def __init__(self, bound: int = THREADS) -> None:
        self.bound = bound
        self.used = 0
        self._line: dict[Callable[[], None], None] = {}
        """Whom to tell that there is room, the one that waits longest first."""
        self._free = _Free()
        weakref.finalize(self, self._free.dismiss)

    @property
    def full(self) -> bool:
        """Whether as many handlers run as may."""
        return self.used >= self.bound

    def wait(self, tell: Callable[[], None]) -> None:
        """Have it told once that there is room, on the loop's thread."""
        self._line.setdefault(tell)

    def forget(self, tell: Callable[[], None]) -> None:
        """Have it told nothing any more."""
        self._line.pop(tell, None)

    def release(self) -> None:
        """Note that a handler has ended, and tell those that wait as long as they leave room."""
        self.used -= 1
        for _ in range(len(self._line)):
            if self.full:
                return
            tell = next(iter(self._line))
            del self._line[tell]
            tell()

    def start(self, function: Function) -> None:
        """Call a function in a thread that is free; raises RuntimeError, and does not call it, where there is none."""
        self._free.call(function)


class _Free:
    """The threads that wait for something to do, the one that has waited least last.

    Not a ThreadPoolExecutor: from Python 3.12 on that forgets threads that wait, and starts others in their place.
    """

    def __init__(self) -> None:
        self.count = 0
        """Threads that live."""
        self._waiting: list[Orders] = []
        self._over = False
        # Python's collector may come by, and dismiss those of another, while a thread has it.
        self._lock = threading.RLock()

    def call(self, function: Function) -> None:
        """Have it called by one that waits, else by a new one."""
        with self._lock:
            if self._waiting:
                self._waiting.pop().put(function)
                return
            if self.count >= _MOST:
                raise RuntimeError(f"there are {_MOST} threads already")
            self.count += 1
        orders: Orders = SimpleQueue()
        orders.put(function)
        try:
            # A thread keeps its arguments, and a function holds what its handler had.
            threading.Thread(target=self._work, args=(orders,), name="databench-handler", daemon=True).start()
        except BaseException:
            self._end()
            raise

    def dismiss(self) -> None:
        """Let all of them end."""
        with self._lock:
            self._over = True
            while self._waiting:
                self._waiting.pop().put(None)

    def _work(self, orders: Orders) -> None:
        while (function := orders.get()) is not None:
            try:
                function()
            except BaseException:
                log.exception("what runs for a handler failed")
            del function
            if not self._waits(orders):
                break
        self._end()

    def _waits(self, orders: Orders) -> bool:
        """Put a thread in line, unless all are to end."""
        with self._lock:
            if not self._over:
                self._waiting.append(orders)
            return not self._over

    def _end(self) -> None:
        with self._lock:
            self.count -= 1
