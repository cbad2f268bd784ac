"""How many signals a browser may send: a token bucket, and when to say that some were refused. Time is an argument."""

from databench.wire.messages import HELD

BURST = 2.0
"""Seconds of the rate that may come at once; never less than a page holds back while its connection is lost."""
INTERVAL = 1.0
"""Seconds between two answers that say how many were refused."""


class RateLimit:
    """A bucket of tokens that fills with time; every signal takes one. A rate of 0 is no limit.

    >>> limit = RateLimit(1, now=0.0, least=2)
    >>> [limit.take(0.0), limit.take(0.0), limit.take(0.0), limit.take(1.0)]
    [True, True, False, True]
    """

    __slots__ = ("_answered", "_capacity", "_rate", "_since", "_tokens", "_untold", "refused")

    def __init__(self, rate: float, now: float, least: int = HELD) -> None:
        self._rate = rate
        self._tokens = self._capacity = max(least, rate * BURST)
        self._since = now
        self._answered: float | None = None
        self._untold = 0
        self.refused = 0
        """How many were refused in all."""

    def take(self, now: float) -> bool:
        """Whether one more signal may come now."""
        if not self._rate:
            return True
        # A clock that goes back fills nothing.
        self._tokens = min(self._capacity, self._tokens + max(0.0, now - self._since) * self._rate)
        self._since = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return True
        self.refused += 1
        self._untold += 1
        return False

    def tell(self, now: float) -> int:
        """Return how many were refused since the last answer, if it is time for one; else 0."""
        if not self._untold or (self._answered is not None and now - self._answered < INTERVAL):
            return 0
        self._answered = now
        untold, self._untold = self._untold, 0
        return untold
