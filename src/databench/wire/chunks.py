"""What a chunk holds: how many items it gets, and how its failure is written down.

Owns the sizing of chunks and the payload of `failed` messages. Knows nothing of who runs a chunk.
"""

from dataclasses import dataclass
from math import ceil

from databench.errors import RemoteProtocolError
from databench.wire import codec

AIM = 0.05
"""Seconds that one chunk should take: long against its way over the bus, short against patience."""
MAX_ITEMS = 10_000
"""Items in a chunk at most, so that a look-ahead of many chunks stays small."""
MAX_BYTES = 4 * 2**20
"""Bytes of arguments that an automatic chunk of more than one item aims to stay below."""
_GROWTH = 16
_MEMORY = 0.7


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a chunk failed: the payload of a `failed` message."""

    item: int | None
    """Index inside the chunk; None where no single item is to blame."""
    type: str
    message: str
    traceback: str

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return codec.pack(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Failure":
        """Return the failure behind a payload; raises RemoteProtocolError when it is not one."""
        try:
            return cls(**codec.unpack(data))
        except TypeError as error:
            raise RemoteProtocolError(f"failure is malformed: {error}") from None


class Chunking:
    """Decides how many items the next chunk gets, from the times and sizes of those before.

    >>> chunking = Chunking()
    >>> chunking.size(capacity=2, remaining=None)
    1
    >>> chunking.learned(items=1, seconds=0.01)
    >>> chunking.size(capacity=2, remaining=None)
    5
    >>> chunking.size(capacity=2, remaining=6)  # near the end: every slot gets some
    2
    """

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self._items = 0.0
        self._seconds = 0.0
        self._largest = 0
        self._item_bytes = 0.0

    def learned(self, items: int, seconds: float) -> None:
        """Take into account that a chunk of `items` took `seconds` in the task."""
        self._items = self._items * _MEMORY + items
        self._seconds = self._seconds * _MEMORY + seconds
        self._largest = max(self._largest, items)

    def packed(self, items: int, size: int) -> None:
        """Take into account that the arguments of a chunk of `items` have `size` bytes."""
        self._item_bytes = size / items

    def size(self, capacity: int, remaining: int | None) -> int:
        """Return the number of items for the next chunk.

        `capacity` is the number of usable slots, `remaining` the items left where that is known: towards the
        end chunks get smaller, at least two for each slot, so that all slots are busy until the end.
        """
        if self._fixed is not None:
            return self._fixed
        if not self._largest:
            return 1
        size = min(MAX_ITEMS, self._largest * _GROWTH)
        if self._seconds > 0:
            size = min(size, int(AIM * self._items / self._seconds))
        if self._item_bytes > 0:
            size = min(size, int(MAX_BYTES / self._item_bytes))
        if remaining is not None:
            size = min(size, ceil(remaining / (2 * max(capacity, 1))))
        return max(size, 1)
