"""What a chunk holds: its calls, its results and its failures as payloads, and how many items it gets.

Owns the payloads of `run`, `done` and `failed` messages and the sizing of chunks. Knows nothing of who runs a chunk.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from math import ceil, inf
from typing import Any

from databench.errors import RemoteProtocolError
from databench.wire import codec, parts
from databench.wire.parts import Parts, Source
from databench.wire.records import record

AIM = 0.05
"""Seconds that one chunk should take: long against its way over the bus, short against patience."""
LEAST = 0.002
"""Seconds that a chunk takes at least, also towards the end: shorter ones cost their way and gain nothing."""
MAX_ITEMS = 20_000
"""Items in a chunk at most, so that a look-ahead of many chunks stays small."""
MAX_BYTES = 4 * 2**20
"""Bytes of arguments, and of results, that an automatic chunk of more than one item aims to stay below."""
_GROWTH = 32
_MEMORY = 0.7
_ROWS = frozenset((list,))


@record
class Calls:
    """The calls of a chunk, one for each item: what travels to a slot.

    >>> [*Calls([[1, 2], [10, 20]])]
    [(1, 10), (2, 20)]
    >>> [*Calls([[[1, 10], [2]]], star=True)]
    [[1, 10], [2]]
    """

    columns: Sequence[Sequence[Any]]
    """For each argument its values, one for each item: far cheaper to pack than a list for each call."""
    star: bool = False
    """Whether the values of the only column are lists of arguments, as `starmap` takes them."""
    collect: bool = False
    """Whether the other calls are made when one has raised."""

    def __len__(self) -> int:
        return len(self.columns[0])

    def __iter__(self) -> Iterator[Sequence[Any]]:
        return iter(self.columns[0]) if self.star else zip(*self.columns, strict=True)

    def to_parts(self) -> Parts:
        """Return the payload; raises PayloadError for what cannot be sent."""
        return parts.pack([self.star, self.collect, self.columns])

    def to_bytes(self) -> bytes:
        """Return the payload in one piece."""
        return parts.joined(self.to_parts())

    @classmethod
    def from_bytes(cls, data: Source) -> "Calls":
        """Return the calls behind a payload; raises RemoteProtocolError when they are malformed."""
        match parts.unpack(data):
            case [star, collect, columns] if type(star) is type(collect) is bool and _are_columns(columns, star):
                return cls(columns, star, collect)
        raise RemoteProtocolError("the calls of a chunk are malformed")


def _are_columns(value: Any, star: bool) -> bool:
    """Return whether this is what `Calls` keeps. Each chunk passes here, so without patterns of classes."""
    if type(value) is not list or not value or {*map(type, value)} != {list}:
        return False
    if star:
        return len(value) == 1 and _ROWS.issuperset(map(type, value[0]))
    return len(value) == 1 or len({*map(len, value)}) == 1


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a chunk failed, or an item of it: the payload of a `failed` message."""

    item: int | None
    """Index inside the chunk; None where no single item is to blame."""
    type: str
    message: str
    traceback: str
    module: str = ""
    """Where the type is defined; empty where it is none of Python's."""
    arguments: Sequence[Any] | None = None
    """What the exception was made with, where that can be sent."""

    def to_bytes(self) -> bytes:
        """Return the payload."""
        return codec.pack(self)

    @classmethod
    def from_bytes(cls, data: Source) -> "Failure":
        """Return the failure behind a payload; raises RemoteProtocolError when it is not one."""
        return cls.of(parts.unpack(data))

    @classmethod
    def of(cls, value: Any) -> "Failure":
        """Return the failure that an unpacked value is; raises RemoteProtocolError when it is none."""
        match value:
            case {
                "item": int() | None,
                "type": str(),
                "message": str(),
                "traceback": str(),
                "module": str(),
                "arguments": list() | None,
            } if len(value) == len(fields(cls)):
                return cls(**value)
        raise RemoteProtocolError("failure is malformed")


@record
class Results:
    """What the calls of a chunk returned: what travels back from a slot.

    >>> Results.from_bytes(Results([1, None], [Failure(1, "ValueError", "no", "")]).to_bytes()).failures[0].item
    1
    """

    values: list[Any]
    """One for each item; None where it failed."""
    failures: Sequence[Failure] = ()
    """Those of single items, where all calls were made nevertheless."""

    def to_parts(self) -> Parts:
        """Return the payload; raises PayloadError for what cannot be sent."""
        return parts.pack([self.failures, self.values])

    def to_bytes(self) -> bytes:
        """Return the payload in one piece."""
        return parts.joined(self.to_parts())

    @classmethod
    def from_bytes(cls, data: Source) -> "Results":
        """Return the results behind a payload; raises RemoteProtocolError when they are malformed."""
        match parts.unpack(data):
            case [[], values] if type(values) is list:
                return cls(values)
            case [list(failures), list(values)]:
                found = [Failure.of(failure) for failure in failures]
                if all(failure.item is not None and 0 <= failure.item < len(values) for failure in found):
                    return cls(values, found)
        raise RemoteProtocolError("the results of a chunk are malformed")


def failures_in(payload: Source) -> int:
    """Return how many items failed in a chunk, from the head of its results and without decoding them.

    >>> failures_in(Results([1, 2]).to_bytes())
    0
    """
    beginning = parts.first_bytes(payload, 6)
    match beginning[1:2]:  # after the head of the outer array comes that of the array of failures
        case b"\xdc":
            return int.from_bytes(beginning[2:4], "big")
        case b"\xdd":
            return int.from_bytes(beginning[2:6], "big")
        case head:
            return int.from_bytes(head, "big") & 0x0F


class Chunking:
    """Decides how many items the next chunk gets, from the times and sizes of those before.

    Towards a known end chunks get smaller (guided self-scheduling: Polychronopoulos and Kuck, 1987).

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
        self.fixed = fixed
        self._items = 0.0
        self._seconds = 0.0
        self._largest = 0
        self._argument_bytes = 0.0
        self._result_bytes = 0.0

    @property
    def settled(self) -> bool:
        """Whether chunks have the size that they should have, or are about to grow to it."""
        if self.fixed is not None:
            return True
        return self._largest > 0 and self._wanted() <= self._largest * _GROWTH

    def learned(self, items: int, seconds: float, size: int = 0) -> None:
        """Take into account that a chunk of `items` took `seconds` in the task, and its results `size` bytes."""
        self._items = self._items * _MEMORY + items
        self._seconds = self._seconds * _MEMORY + seconds
        self._largest = max(self._largest, items)
        self._result_bytes = size / items

    def packed(self, items: int, size: int) -> None:
        """Take into account that the arguments of a chunk of `items` have `size` bytes."""
        self._argument_bytes = size / items

    def result_bytes(self, items: int) -> int:
        """Return how many bytes the results of so many items will probably have."""
        return int(self._result_bytes * items)

    def size(self, capacity: int, remaining: int | None) -> int:
        """Return the number of items for the next chunk.

        `capacity` is the number of usable slots, `remaining` the items left where that is known: towards the
        end chunks get smaller, at least two for each slot, so that all slots are busy until the end, but not so
        small that their way costs more than that gains.
        """
        if self.fixed is not None:
            return self.fixed
        if not self._largest:
            return 1
        size = min(self._wanted(), self._largest * _GROWTH)
        if remaining is not None:
            share = ceil(remaining / (2 * max(capacity, 1)))
            size = min(size, max(share, int(min(self._rate() * LEAST, size))))
        return max(size, 1)

    def _rate(self) -> float:
        return self._items / self._seconds if self._seconds > 0 else inf

    def _wanted(self) -> int:
        """Return how many items take the time aimed at, and are neither too many nor too large."""
        size = min(self._rate() * AIM, MAX_ITEMS)
        if (largest := max(self._argument_bytes, self._result_bytes)) > 0:
            size = min(size, MAX_BYTES / largest)
        return int(size)
