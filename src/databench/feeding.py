"""Feeding a job: items out of the author's iterables, a bounded number of chunks ahead of the consumer.

Owns which items are in which chunk. Knows nothing of results and of waiting (jobs).
"""

import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any

from databench.engines.contract import Engine, Order, Sink
from databench.wire import codec
from databench.wire.chunks import Chunking

LOOKAHEAD = 64
"""Chunks that a job may have submitted or not yet given to its consumer; more (four a slot) on many slots."""
_SLICE = 0.01


class Feed:
    """The items of one job on their way to an engine; no iterables: one call without arguments."""

    def __init__(self, task: str, iterables: Sequence[Iterable[Any]] | None, chunking: Chunking, retries: int) -> None:
        self.chunking = chunking
        self.spans: dict[int, range] = {}
        """For each chunk that the consumer does not have yet, the indexes of its items."""
        self.exhausted = False
        self.total: int | None = None
        """The number of items, as soon as it is known."""
        self._task = task
        self._retries = retries
        self._items: Iterator[tuple[Any, ...]] = iter([()]) if iterables is None else zip(*iterables, strict=False)
        lengths = [len(part) if isinstance(part, Sized) else None for part in iterables or [[()]]]
        known = [length for length in lengths if length is not None]
        if len(known) == len(lengths):
            self.total = min(known)
        self._taken = 0
        self._chunks = 0

    def run(self, engine: Engine, job: str, sink: Sink) -> bool:
        """Submit chunks for a moment (10 ms) or until enough are ahead; return whether it can go on at once.

        Raises what the iterables raise, and PayloadError for an item that cannot be sent.
        """
        until = time.monotonic() + _SLICE
        while not self.exhausted and len(self.spans) < max(LOOKAHEAD, 4 * engine.capacity):
            self._submit(engine, job, sink)
            if time.monotonic() > until:
                return not self.exhausted
        return False

    def _submit(self, engine: Engine, job: str, sink: Sink) -> None:
        remaining = None if self.total is None else max(self.total - self._taken, 0)
        size = self.chunking.size(engine.capacity, remaining)
        items = list(islice(self._items, size))
        if len(items) < size:
            self.exhausted = True
            self.total = self._taken + len(items)
        if not items:
            return
        payload = codec.pack(items)
        self.chunking.packed(len(items), len(payload))
        number, self._chunks = self._chunks, self._chunks + 1
        self.spans[number] = range(self._taken, self._taken + len(items))
        self._taken += len(items)
        engine.submit(Order(job, "", number, self._task, self._retries), payload, sink)
