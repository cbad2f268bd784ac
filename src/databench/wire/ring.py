"""Numbered frames from the oldest that is kept to the newest, bounded in number and in bytes.

Pure, and knows neither what is in a frame nor who gets it.
"""

from bisect import bisect_right
from dataclasses import dataclass

_SPARE = 1_024
"""Places of forgotten frames after which the lists are cut."""


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


class Ring:
    """Frames numbered from 1; appending one drops the oldest beyond the bounds, never the newest.

    >>> ring = Ring(count=2, size=100)
    >>> [ring.append(frame) for frame in (b"a", b"b", b"c")]
    [1, 2, 3]
    >>> ring.first, ring.join(ring.first - 1, ring.last)
    (2, b'bc')
    """

    __slots__ = ("_base", "_count", "_ends", "_frames", "_size", "first", "last")

    def __init__(self, count: int, size: int) -> None:
        self.first = 1
        self.last = 0
        self._count = count
        self._size = size
        self._base = 0
        """How many frames were cut off the lists."""
        self._frames: list[bytes] = []
        self._ends = [0]
        """Bytes of all frames up to each, so that a range is measured by one subtraction."""

    def append(self, frame: bytes) -> int:
        """Add a frame and return its number."""
        ends = self._ends
        end = ends[-1] + len(frame)
        self._frames.append(frame)
        ends.append(end)
        self.last += 1
        if self.last - self.first >= self._count or end - ends[self.first - 1 - self._base] > self._size:
            self._drop_oldest(end)
        return self.last

    def size(self, after: int, until: int) -> int:
        """Return the bytes of the frames behind number `after`, up to and with `until`."""
        return self._ends[until - self._base] - self._ends[after - self._base]

    def reach(self, after: int, size: int) -> int:
        """Return the number up to which the frames behind `after` have at most `size` bytes together."""
        return bisect_right(self._ends, self._ends[after - self._base] + size) - 1 + self._base

    def join(self, after: int, until: int) -> bytes:
        """Return the frames behind number `after`, up to and with `until`, joined."""
        return b"".join(self._frames[after - self._base : until - self._base])

    def _drop_oldest(self, end: int) -> None:
        base, first = self._base, self.first
        while first < self.last and (
            self.last - first >= self._count or end - self._ends[first - 1 - base] > self._size
        ):
            self._frames[first - 1 - base] = b""
            first += 1
        self.first = first
        if (spare := first - 1 - base) >= _SPARE:
            del self._frames[:spare], self._ends[:spare]
            self._base += spare
