"""Tells the pages of a session which signals are being handled, of those that take long enough to be seen.

Owns the delay. What is at work it asks of `handling`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from databench.state import State

DELAY = 0.05
"""Seconds that handlers of a signal are at work before it is told."""


@dataclass(frozen=True, slots=True)
class Work:
    """The calls of a signal's handlers, and whether one more signal would be taken now."""

    running: int
    waiting: int
    accepts: bool


class Announcer:
    """Keeps `state` in step with the work at each signal. Belongs to the event loop's thread.

    `at_work` returns whether there is work at a signal, and `look` how much.
    """

    def __init__(self, state: State, at_work: Callable[[str], bool], look: Callable[[str], Work]) -> None:
        self._state = state
        self._at_work = at_work
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._since: dict[str, float] = {}
        """When the work began, of signals that are not told yet: the earliest first."""
        self._timer: asyncio.TimerHandle | None = None

    def changed(self, signal: str) -> None:
        """Take notice that calls of this signal came or went."""
        if not self._at_work(signal):
            self._since.pop(signal, None)
            if signal in self._state:
                del self._state[signal]
        elif signal in self._state:
            work = self._look(signal)
            if self._state[signal] != work:
                self._state[signal] = work
        elif signal not in self._since:
            self._since[signal] = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(DELAY, self._tell)

    def stop(self) -> None:
        """Tell nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        self._since.clear()

    def _tell(self) -> None:
        self._timer = None
        due = self._loop.time() - DELAY
        for signal, since in list(self._since.items()):
            if since > due:
                self._timer = self._loop.call_at(since + DELAY, self._tell)
                return
            del self._since[signal]
            self._state[signal] = self._look(signal)
