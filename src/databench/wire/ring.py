"""Numbered signals from the oldest that is kept to the newest, bounded in number and in bytes.

Pure, and knows neither what is in a payload nor who gets it.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

BATCH = 64
"""Beyond its bounds a ring drops this part of them at once: cutting a list costs the same for one as for many."""
ENVELOPE = 32
"""Bytes that a signal counts besides its name and its payload: what it has on the wire, alone in its message."""


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
    """More bytes than a signal counts besides its payload."""

    @property
    def safe(self) -> int:
        """Signals kept in any case."""
        return self.kept - self.kept // BATCH

    @property
    def safe_bytes(self) -> int:
        """Bytes kept in any case."""
        return self.kept_bytes - self.kept_bytes // BATCH


class Ring:
    """Signals numbered from 1; appending one drops the oldest beyond the bounds, never the newest.

    >>> ring = Ring(Bounds(kept=2))
    >>> [ring.append("s", payload) for payload in (b"a", b"b", b"c")]
    [1, 2, 3]
    >>> ring.first, ring.slice(ring.first - 1, ring.last)
    (2, (['s', 's'], [b'b', b'c']))
    """

    __slots__ = ("_bounds", "_count", "_ends", "_full", "_names", "_payloads", "end", "first", "last")

    def __init__(self, bounds: Bounds) -> None:
        self.first = 1
        """The number of the oldest that is kept."""
        self.last = 0
        """The number of the newest."""
        self.end = 0
        """Bytes of all signals there ever were."""
        self._bounds = bounds
        self._count = bounds.kept
        self._full = bounds.kept_bytes
        """The end up to which the oldest that is kept may stay."""
        self._names: list[str] = []
        self._payloads: list[bytes] = []
        self._ends = [0]
        """The end before the oldest, and of each that is kept: a range is measured by one subtraction."""

    def append(self, name: str, payload: bytes) -> int:
        """Add a signal and return its number."""
        self.end = end = self.end + len(payload) + len(name) + ENVELOPE
        self._names.append(name)
        self._payloads.append(payload)
        self._ends.append(end)
        self.last = last = self.last + 1
        if end > self._full or last - self.first >= self._count:
            self._drop_oldest()
        return last

    def size(self, after: int, until: int) -> int:
        """Return the bytes of the signals behind number `after`, up to and with `until`."""
        return self._ends[until - self.first + 1] - self._ends[after - self.first + 1]

    def reach(self, after: int, size: int) -> int:
        """Return the number up to which the signals behind `after` have at most `size` bytes together."""
        return bisect_right(self._ends, self._ends[after - self.first + 1] + size) + self.first - 2

    def slice(self, after: int, until: int) -> tuple[list[str], list[bytes]]:
        """Return names and payloads of the signals behind number `after`, up to and with `until`."""
        wanted = slice(after - self.first + 1, until - self.first + 1)
        return self._names[wanted], self._payloads[wanted]

    def _drop_oldest(self) -> None:
        bounds = self._bounds
        fitting = bisect_left(self._ends, self.end - bounds.safe_bytes)
        dropped = min(max(fitting, len(self._names) - bounds.safe), len(self._names) - 1)
        del self._names[:dropped], self._payloads[:dropped], self._ends[:dropped]
        self.first += dropped
        self._full = self._ends[0] + bounds.kept_bytes
