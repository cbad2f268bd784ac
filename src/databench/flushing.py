"""When what several threads have put together leaves: once for all of it, soon, on the event loop.

Knows nothing of what is flushed.
"""

import asyncio
import math
import threading
from collections.abc import Callable

BURST = 0.000_3
"""Seconds between two flushes below which a thread emits in a burst; a round trip takes longer."""
GATHER = 0.001
"""Seconds for which the signals of a burst are gathered."""


class Flushing:
    """Calls `flush` on the loop's thread soon after it was asked to, once for all who asked meanwhile.

    What is to be flushed must be in its place before asking, and `flush` looks at all of it after `begun`: so nothing
    stays behind, although nobody holds a lock.
    """

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._last = -math.inf
        self.asked = False
        """Whether a flush is on its way; looking before asking spares a call."""

    def here(self) -> bool:
        """Return whether this is the loop's thread."""
        return threading.get_ident() == self._thread

    def ask(self) -> None:
        """Have it flushed soon. From any thread."""
        if self.asked:
            return
        self.asked = True
        if threading.get_ident() == self._thread:
            # At the end of this turn: what it brings travels together.
            self._loop.call_soon(self._flush)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._gather)

    def awaited(self) -> None:
        """Note that somebody may wait for what comes next, which is no burst then; on the loop's thread."""
        self._last = -math.inf

    def begun(self) -> None:
        """Note that a flush begins; on the loop's thread."""
        self.asked = False
        self._last = self._loop.time()

    def _gather(self) -> None:
        # Waking the loop for every signal of a plain loop costs more than the signals: in a burst they gather.
        if self._loop.time() - self._last < BURST:
            self._loop.call_later(GATHER, self._flush)
        else:
            self._flush()
