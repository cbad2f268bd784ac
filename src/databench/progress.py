"""How far a job is: counted, told as a value, and passed on a few times a second.

Owns the rate and the throttle; time is an argument of all that decides. Knows neither jobs nor sessions.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

MEMORY = 5.0
"""Seconds over which the rate is smoothed, or half of the time since the beginning where that is more."""
INTERVAL = 0.1
"""Seconds between two reports of one job."""

Report = Callable[[str, "Progress | None"], None]
"""Takes a job's name and how far it is, None when it is over; called from any thread, one call after the other."""
Later = Callable[[float, Callable[[], None]], None]
"""Calls a function after some seconds, in any thread."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, in items. To a page it travels as an object with these names."""

    done: int
    """Items whose answer is here, those that failed among them."""
    running: int
    """Items that were handed to the engine and are not answered."""
    failed: int
    """Items that failed."""
    total: int | None
    """All items; None where the iterables have no length."""
    rate: float
    """Items a second, smoothed over the last seconds."""
    remaining: float | None
    """Seconds that the rest will take at this rate; None where that cannot be told."""
    elapsed: float
    """Seconds since the job began; until its end, once that has come."""
    over: bool = False
    """Whether the job has ended: with all items done, or before, by a failure or since it was cancelled."""


class Meter:
    """Counts items and learns how many there are in a second.

    >>> meter = Meter(now=0.0)
    >>> meter.add(10, failed=0, now=1.0)
    >>> meter.progress(running=5, total=30, now=1.5)
    Progress(done=10, running=5, failed=0, total=30, rate=10.0, remaining=2.0, elapsed=1.5, over=False)
    """

    def __init__(self, now: float) -> None:
        self.done = 0
        self.failed = 0
        self._begun = self._last = now
        self._ended: float | None = None
        # Items and seconds, both counting less and less; their ratio is the rate.
        self._items = 0.0
        self._seconds = 0.0
        self._longest = 0.0

    def add(self, items: int, failed: int, now: float) -> None:
        """Count items that were answered, `failed` of them by a failure."""
        self.done += items
        self.failed += failed
        gap = max(now - self._last, 0.0)
        kept = math.exp(-gap / max(MEMORY, (now - self._begun) / 2))
        self._items = self._items * kept + items
        self._seconds = self._seconds * kept + gap
        self._longest = max(self._longest, gap)
        self._last = now

    def end(self, now: float) -> None:
        """Stop the clock."""
        if self._ended is None:
            self._ended = now

    def progress(self, running: int, total: int | None, now: float) -> Progress:
        """Return how far the job is."""
        now = now if self._ended is None else self._ended
        elapsed = max(now - self._begun, 0.0)
        rate = self._rate(elapsed, now)
        remaining = None
        if total is not None and self.done >= total:
            remaining = 0.0
        elif total is not None and rate > 0 and self._ended is None:
            remaining = round((total - self.done) / rate, 3)
        over = self._ended is not None
        return Progress(self.done, running, self.failed, total, round(rate, 3), remaining, round(elapsed, 3), over)

    def _rate(self, elapsed: float, now: float) -> float:
        if self._ended is not None:
            return self.done / elapsed if elapsed > 0 else 0.0
        # Of the time since the last answer only what is more than usual tells that it has become slower.
        seconds = self._seconds + max(now - self._last - self._longest, 0.0)
        return self._items / seconds if seconds > 0 else 0.0


class Throttle:
    """Decides when something that happens often is told: at once, later, or not by this call.

    >>> throttle = Throttle(0.1)
    >>> throttle.happened(now=0.0), throttle.happened(now=0.02), throttle.happened(now=0.05)
    (0.0, 0.08, None)
    >>> throttle.told(now=0.1)
    >>> throttle.happened(now=0.3)
    0.0
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._last = -math.inf
        self._promised = False

    def happened(self, now: float) -> float | None:
        """Return after how many seconds to tell: 0 for now, None where an earlier call has promised it."""
        if self._promised:
            return None
        wait = self._last + self._interval - now
        if wait <= 0:
            self._last = now
            return 0.0
        self._promised = True
        return round(wait, 6)

    def told(self, now: float) -> None:
        """Note that what was promised is told."""
        self._promised = False
        self._last = now


class Reporter:
    """Tells how far one job is: when it begins, at most ten times a second, and that it is over."""

    def __init__(
        self, name: str, report: Report, progress: Callable[[], Progress], clock: Callable[[], float], later: Later
    ) -> None:
        self._name = name
        self._report = report
        self._progress = progress
        self._clock = clock
        self._later = later
        self._throttle = Throttle(INTERVAL)
        self._over = False
        self._lock = threading.RLock()

    def happened(self) -> None:
        """Tell, now or a little later. From any thread."""
        with self._lock:
            wait = None if self._over else self._throttle.happened(self._clock())
            if wait == 0.0:
                self._report(self._name, self._progress())
        if wait:
            self._later(wait, self._tell)

    def over(self) -> None:
        """Tell how far it came and that it is over; nothing is told after that. From any thread."""
        with self._lock:
            if not self._over:
                self._over = True
                self._report(self._name, self._progress())
                self._report(self._name, None)

    def _tell(self) -> None:
        with self._lock:
            self._throttle.told(self._clock())
            if not self._over:
                self._report(self._name, self._progress())


def in_a_thread(seconds: float, call: Callable[[], None]) -> None:
    """Call a function after some seconds, in a thread of its own: for whoever has no loop at hand."""
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
