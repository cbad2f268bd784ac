"""The threads in which plain handlers run: each has one while it runs, and the next handler gets it after that.

Starting a thread for every signal would cost more than the signal. Knows no handler and no session.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

THREADS = 256
"""Plain handlers that run at the same time in one runner; one more is refused."""
_MOST = 10_000
"""Threads at most, with those of `disconnect` handlers, which are never refused."""


class Threads:
    """Threads of one process, and how many plain handlers run in them. Belongs to the event loop's thread."""

    def __init__(self, bound: int = THREADS) -> None:
        self.bound = bound
        self.used = 0
        self._pool = ThreadPoolExecutor(_MOST, thread_name_prefix="databench-handler")

    @property
    def full(self) -> bool:
        """Whether as many handlers run as may."""
        return self.used >= self.bound

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
