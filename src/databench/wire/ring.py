"""Numbered frames from the oldest that is kept to the newest, bounded in number and in bytes.

Pure, and knows neither what is in a frame nor who gets it.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

BATCH = 64
"""Beyond its bounds a ring drops this part of them at once: cutting a list costs the same for one as for many."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be on its way to a viewer, how much is kept for those who come back, and how large a frame gets."""

    window: int = 16_384
    """Signals on their way to a viewer without an acknowledgement."""
    window_bytes: int = 4 * 2**20
    """The same in bytes; a single larger signal may travel alone."""
    kept: int = 65_536
    """Signals kept for viewers who come back."""
    kept_bytes: int = 16 * 2**20
    """The same in bytes."""
    frame: int = 64_000
    """Signals that are ready are joined to frames of at most this many bytes."""
    envelope: int = 1_000
    """More bytes than a signal has besides its payload."""

    @property
    def safe(self) -> int:
        """Signals kept in any case."""
        return self.kept - self.kept // BATCH

    @property
    def safe_bytes(self) -> int:
        """Bytes kept in any case."""
        return self.kept_bytes - self.kept_bytes // BATCH


class Ring:
    """Frames numbered from 1; appending one drops the oldest beyond the bounds, never the newest.

    >>> ring = Ring(Bounds(kept=2))
    >>> [ring.append(frame) for frame in (b"a", b"b", b"c")]
    [1, 2, 3]
    >>> ring.first, ring.join(ring.first - 1, ring.last)
    (2, b'bc')
    """

    __slots__ = ("_bounds", "_count", "_ends", "_frames", "_full", "end", "first", "last")

    def __init__(self, bounds: Bounds) -> None:
        self.first = 1
        """The number of the oldest that is kept."""
        self.last = 0
        """The number of the newest."""
        self.end = 0
        """Bytes of all frames there ever were."""
        self._bounds = bounds
        self._count = bounds.kept
        self._full = bounds.kept_bytes
        """The end up to which the oldest that is kept may stay."""
        self._frames: list[bytes] = []
        self._ends = [0]
        """The end before the oldest, and of each that is kept: a range is measured by one subtraction."""

    def append(self, frame: bytes) -> int:
        """Add a frame and return its number."""
        self.end = end = self.end + len(frame)
        self._frames.append(frame)
        self._ends.append(end)
        self.last = last = self.last + 1
        if end > self._full or last - self.first >= self._count:
            self._drop_oldest()
        return last

    def size(self, after: int, until: int) -> int:
        """Return the bytes of the frames behind number `after`, up to and with `until`."""
        return self._ends[until - self.first + 1] - self._ends[after - self.first + 1]

    def reach(self, after: int, size: int) -> int:
        """Return the number up to which the frames behind `after` have at most `size` bytes together."""
        return bisect_right(self._ends, self._ends[after - self.first + 1] + size) + self.first - 2

    def join(self, after: int, until: int) -> bytes:
        """Return the frames behind number `after`, up to and with `until`, joined."""
        return b"".join(self._frames[after - self.first + 1 : until - self.first + 1])

    def _drop_oldest(self) -> None:
        bounds = self._bounds
        fitting = bisect_left(self._ends, self.end - bounds.safe_bytes)
        dropped = min(max(fitting, len(self._frames) - bounds.safe), len(self._frames) - 1)
        del self._frames[:dropped], self._ends[:dropped]
        self.first += dropped
        self._full = self._ends[0] + bounds.kept_bytes
