"""The threads in which plain handlers run: each has one while it runs, and the next handler gets it after that.

Starting a thread for every signal would cost more than the signal. Knows no handler and no session.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

THREADS = 256
"""Plain handlers that run at the same time in one runner; one more waits."""
_MOST = 10_000
"""Threads at most, with those of `disconnect` handlers, which never wait."""


class Threads:
    """Threads of one process, and how many plain handlers run in them. Belongs to the event loop's thread."""

    def __init__(self, bound: int = THREADS) -> None:
        self.bound = bound
        self.used = 0
        self._line: dict[Callable[[], None], None] = {}
        """Whom to tell that there is room, the one that waits longest first."""
        self._pool = ThreadPoolExecutor(_MOST, thread_name_prefix="databench-handler")

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

    def start(self, function: Callable[[], object]) -> None:
        """Call a function in a thread that is free; raises RuntimeError, and does not call it, where there is none."""
        wanted = [function]
        try:
            self._pool.submit(_take, wanted)
        except RuntimeError:
            # The pool has queued it all the same, and a thread that just became free may have taken it.
            if wanted:
                wanted.clear()
                raise


def _take(wanted: list[Callable[[], object]]) -> None:
    try:
        function = wanted.pop()
    except IndexError:
        return
    function()
