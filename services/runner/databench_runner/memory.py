"""Memory that ended sessions leave: handed back to the system, which the C library does not do by itself.

Handlers run in many threads, for each of which glibc keeps a heap of its own, and what was freed inside such a heap
stays with the process: after 500 sessions with a full log it was half as much again (docs/performance.md).
"""

import asyncio
import ctypes
from collections.abc import Callable

PAUSE = 1.0
"""Seconds after the end of a session before memory is given back, once for all that ended meanwhile."""


class Tidying:
    """Gives memory back soon after it was asked to. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        # Only glibc has it, and only there is it needed.
        self._trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._asked = False

    def ask(self) -> None:
        """Have it done soon."""
        if self._trim is not None and not self._asked:
            self._asked = True
            asyncio.get_running_loop().call_later(PAUSE, self._tidy)

    def _tidy(self) -> None:
        self._asked = False
        if self._trim is not None:
            # It takes some milliseconds and does not hold the interpreter meanwhile.
            asyncio.get_running_loop().run_in_executor(None, self._trim, 0)
