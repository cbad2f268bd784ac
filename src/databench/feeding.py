"""Feeding a job: items out of the author's iterables, cut into chunks, a bounded way ahead of the consumer.

Owns which items are in which chunk. Knows nothing of results and of waiting (results).
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import count, cycle, islice, repeat
from operator import length_hint
from typing import Any

from databench.engines.contract import Engine, Order
from databench.errors import PayloadError
from databench.wire import codec
from databench.wire.chunks import Calls, Chunking
from databench.wire.parts import Source

LOOKAHEAD = 64
"""Chunks that a job may have submitted or not yet given to its consumer; more (four a slot) on many slots."""
AHEAD_BYTES = 64 * 2**20
"""Bytes of these chunks, of arguments or results; beyond that two chunks for each slot are ahead."""
PROBING = 0.02
"""Seconds without an answer for which only two chunks for each slot are ahead while chunks still grow: those that
come next will be larger. Later than that items are slow, and all slots should have some."""
_SLICE = 0.01


class Items:
    """The items of a job as they come out of the author's iterables."""

    def __init__(self, rows: Iterator[Any], total: int | None, *, star: bool, single: bool) -> None:
        self.total = total
        """The number of items, as soon as it is known."""
        self.taken = 0
        self.exhausted = False
        self._rows = rows
        self._back: list[Any] = []
        self._star = star
        self._single = single

    @classmethod
    def of(cls, iterables: Sequence[Iterable[Any]]) -> "Items":
        """Take one argument from each iterable; the shortest ends it."""
        total = _shortest(iterables)
        if len(iterables) == 1:
            return cls(iter(iterables[0]), total, star=False, single=True)
        return cls(zip(*iterables, strict=False), total, star=False, single=False)

    @classmethod
    def starred(cls, arguments: Iterable[Iterable[Any]]) -> "Items":
        """Take all arguments of a call from one iterable."""
        return cls(map(list, arguments), _shortest([arguments]), star=True, single=False)

    def take(self, n: int) -> list[Any]:
        """Return the next items, fewer than `n` at the end; raises what the iterables raise."""
        if self._back:
            rows, self._back = self._back[:n], self._back[n:]
        else:
            rows = list(islice(self._rows, n))
            if len(rows) < n:
                self.exhausted = True
                self.total = self.taken + len(rows)
        self.taken += len(rows)
        return rows

    def put_back(self, rows: list[Any]) -> None:
        """Have these taken again, before all others."""
        self._back = rows + self._back
        self.taken -= len(rows)

    @property
    def over(self) -> bool:
        """Whether nothing is left to take."""
        return self.exhausted and not self._back

    def calls(self, rows: list[Any], *, collect: bool) -> Calls:
        """Return the calls that these items are."""
        if self._star or self._single:
            return Calls([rows], self._star, collect)
        return Calls(list(zip(*rows, strict=True)), collect=collect)

    def check(self, rows: list[Any], first: int) -> None:
        """Raise PayloadError for the first argument that cannot be sent, naming it."""
        for item, row in enumerate(rows, first):
            for position, argument in enumerate((row,) if self._single else row, 1):
                try:
                    codec.pack(argument)
                except PayloadError as error:
                    raise PayloadError(f"argument {position} of item {item}: {error}") from None


@dataclass(slots=True)
class Ahead:
    """A chunk that the consumer does not have yet."""

    span: range
    """The indexes of its items."""
    size: int
    """Bytes that it keeps here, as far as that is known."""
    answered: bool = False


class Feed:
    """The items of one job on their way to an engine; `order` is what all its chunks have in common."""

    def __init__(
        self,
        engine: Engine,
        order: Order,
        items: Items,
        chunking: Chunking,
        clock: Callable[[], float],
        *,
        collect: bool = False,
    ) -> None:
        self.engine = engine
        self.order = order
        self.items = items
        self.collect = collect
        self.ahead: dict[int, Ahead] = {}
        self._chunking = chunking
        self._clock = clock
        self._bytes = 0
        self._chunks = 0
        self._probing_until = clock() + PROBING

    @property
    def over(self) -> bool:
        """Whether all items were taken and all answers given to the consumer."""
        return self.items.over and not self.ahead

    def run(self, submit: Callable[[Order, Source], bool]) -> bool:
        """Submit chunks for a moment (10 ms) or until enough are ahead; return whether it can go on at once.

        Raises what the iterables raise, and PayloadError for an item that cannot be sent.
        """
        now = self._clock()
        until = now + _SLICE
        while not self.items.over and self._room(now):
            if not self._submit(submit):
                return False
            if (now := self._clock()) > until:
                return not self.items.over
        return False

    def probing(self) -> float | None:
        """Return after how many seconds to run again, although nothing was answered; None for no such time."""
        if self._chunking.settled or self.items.over:
            return None
        wait = self._probing_until - self._clock()
        return wait if wait > 0 else None

    def answered(self, chunk: int, seconds: float, size: int) -> None:
        """Learn from the results of a chunk, which are kept from now on in place of its arguments."""
        ahead = self.ahead[chunk]
        self._bytes += size - ahead.size
        ahead.size = size
        self._chunking.learned(len(ahead.span), seconds, size)
        if not self._chunking.settled:
            self._probing_until = self._clock() + PROBING

    def given(self, chunk: int) -> range:
        """Note that the consumer has a chunk; return the indexes of its items."""
        ahead = self.ahead.pop(chunk)
        self._bytes -= ahead.size
        return ahead.span

    def _room(self, now: float) -> bool:
        chunks, capacity = len(self.ahead), self.engine.capacity
        if chunks < 2 * max(capacity, 1):
            return True
        if capacity and not self._chunking.settled and now < self._probing_until:
            return False
        return chunks < max(LOOKAHEAD, 4 * capacity) and self._bytes < AHEAD_BYTES

    def _submit(self, submit: Callable[[Order, Source], bool]) -> bool:
        total, taken = self.items.total, self.items.taken
        remaining = None if total is None else max(total - taken, 0)
        rows = self.items.take(self._chunking.size(self.engine.capacity, remaining))
        if not rows:
            return True
        payload, items = self._packed(rows, taken)
        self._chunking.packed(items, len(payload))
        number, self._chunks = self._chunks, self._chunks + 1
        size = max(len(payload), self._chunking.result_bytes(items))
        self._bytes += size
        self.ahead[number] = Ahead(range(taken, taken + items), size)
        return submit(self.order._replace(chunk=number) if number else self.order, payload)

    def _packed(self, rows: list[Any], first: int) -> tuple[Source, int]:
        """Return the payload for as many of these items as fit into one, and their number."""
        while True:
            try:
                parts = self.items.calls(rows, collect=self.collect).to_parts()
                return self.engine.hold(self.order.task, parts), len(rows)
            except PayloadError as error:
                self.items.check(rows, first)
                if self._chunking.fixed is not None:
                    together = f"the arguments of {len(rows)} items together: give a smaller chunk="
                    raise PayloadError(f"{error} ({together})") from None
            half = len(rows) // 2
            self.items.put_back(rows[half:])
            rows = rows[:half]


def _shortest(iterables: Sequence[Iterable[Any]]) -> int | None:
    lengths = [_length(part) for part in iterables]
    known = [length for length in lengths if length is not None]
    if len(known) < len(lengths) or math.inf in (shortest := min(known, default=math.inf),):
        return None
    return int(shortest)


def _length(part: Iterable[Any]) -> float | None:
    """Return the number of items; infinity for what is known to be endless, None where nobody knows."""
    if isinstance(part, Sized):
        return len(part)
    if isinstance(part, repeat):
        return length_hint(part, -1) if length_hint(part, -1) >= 0 else math.inf
    return math.inf if isinstance(part, count | cycle) or getattr(part, "endless", False) else None
