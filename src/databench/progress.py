"""How far a job is: counted, told as a value, and passed on a few times a second.

Owns the rate and the throttle; time is an argument of all that decides. Knows neither jobs nor sessions.
"""

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

MEMORY = 5.0
"""Seconds over which the rate is smoothed, or half of the time since the beginning where that is more."""
DELAY = 0.05
"""Seconds for which what happens is gathered before it is told."""
INTERVAL = 0.1
"""Seconds between two reports of one scope, of few jobs."""
LOOK = 0.000_2
"""Seconds between two reports for each job: looking at many takes its time."""

Report = Callable[[str, "Progress | None"], None]
"""Takes the name of a scope and how far its jobs are, None when all are over; from any thread, one call at a time."""
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
    """Decides when something that happens often is told: some time later, or not by this call.

    >>> throttle = Throttle()
    >>> throttle.happened(now=0.0), throttle.happened(now=0.02)
    (0.05, None)
    >>> throttle.told(now=0.05)
    >>> throttle.happened(now=0.06)
    0.09
    """

    def __init__(self) -> None:
        self._next = -math.inf
        self.promised = False
        """Whether an earlier call has promised it; looking before asking spares a call."""

    def happened(self, now: float) -> float | None:
        """Return after how many seconds to tell; None where an earlier call has promised it."""
        if self.promised:
            return None
        self.promised = True
        return round(max(self._next - now, DELAY), 6)

    def told(self, now: float, interval: float = INTERVAL) -> None:
        """Note that what was promised is told, and not again in this interval."""
        self.promised = False
        self._next = now + interval


class Reported(Protocol):
    """A job, as far as it is told of."""

    @property
    def name(self) -> str:
        """Which it is."""

    @property
    def counts(self) -> tuple[int, int, int | None]:
        """Items that were taken, that were answered, and all of them where that is known."""


class Reporter:
    """Tells how far the jobs of one scope are together: at most ten times a second, less often where there are many.

    What is over counts as long as others go on, so that the sum does not jump back. When all are over that is told, and
    then None: at once, but of those that are done before they could be seen with what happens in the next moment.
    From any thread.
    """

    def __init__(self, name: str, report: Report, clock: Callable[[], float], later: Later) -> None:
        self._name = name
        self._report = report
        self._clock = clock
        self._later = later
        self._throttle = Throttle()
        self._live: dict[str, Reported] = {}
        self._meter = Meter(clock())
        self._over_total: int | None = 0
        self._told = False
        self._concluded = False
        self._lock = threading.RLock()

    def begun(self, job: Reported) -> None:
        """A job begins."""
        with self._lock:
            if not self._live:
                self._meter, self._over_total, self._concluded = Meter(self._clock()), 0, False
            self._live[job.name] = job

    def answered(self, items: int, failed: int) -> None:
        """Items of a job were answered, `failed` of them by a failure."""
        with self._lock:
            self._meter.add(items, failed, self._clock())
        self.happened()

    def over(self, job: Reported) -> None:
        """A job is over; does nothing to one that was over before."""
        with self._lock:
            if self._live.pop(job.name, None) is None:
                return
            self._over_total = _sum((self._over_total, job.counts[2]))
            if self._live:
                return
            self._meter.end(self._clock())
            if self._told or self._meter.failed or self._meter.done != self._over_total:
                self._conclude()

    def happened(self) -> None:
        """Something has changed that is to be told."""
        if self._throttle.promised:
            return
        with self._lock:
            wait = self._throttle.happened(self._clock()) if self._live else None
        if wait is not None:
            self._later(wait, self._tell)

    def _tell(self) -> None:
        with self._lock:
            self._throttle.told(self._clock(), max(INTERVAL, len(self._live) * LOOK))
            if self._live:
                self._told = True
                self._report(self._name, self._progress())
            elif not self._concluded:
                self._conclude()

    def _conclude(self) -> None:
        self._report(self._name, self._progress())
        self._report(self._name, None)
        self._told = False
        self._concluded = True

    def _progress(self) -> Progress:
        counts = [job.counts for job in self._live.values()]
        running = sum(taken - done for taken, done, _ in counts)
        total = _sum([self._over_total, *(total for _, _, total in counts)])
        return self._meter.progress(max(running, 0), total, self._clock())


def _sum(totals: Iterable[int | None]) -> int | None:
    """Return the sum; None where one is not known."""
    known = 0
    for total in totals:
        if total is None:
            return None
        known += total
    return known


def in_a_thread(seconds: float, call: Callable[[], None]) -> None:
    """Call a function after some seconds, in a thread of its own: for whoever has no loop at hand."""
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
