"""Which slots are about to be free: those whose chunk has nearly run the time that such chunks take.

Owns when that is. Decides nothing about who gets the next chunk (jobtable); time is an argument.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from math import inf

from databench.wire.jobstate import SHORT, Chunk

LEAD = 0.005
"""Seconds before the expected end of a chunk at which its slot may get the next one: more than the way there takes."""
LONGEST = 1.0
"""Seconds of a chunk from which on it does not matter that its slot waits for the next one."""


class Endings:
    """The chunks that run, by the time at which they are about to end."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Chunk]] = []
        self._count = 0

    def begin(self, chunk: Chunk, now: float) -> None:
        """A chunk begins to run. Of short ones slots have some ahead in any case, of unknown ones nobody knows."""
        if chunk.pace.known and SHORT <= chunk.pace.mean < LONGEST:
            self._count += 1
            chunk.ends = now + chunk.pace.mean - LEAD
            heappush(self._heap, (chunk.ends, self._count, chunk))

    def end(self, chunk: Chunk) -> None:
        """A chunk has left its worker."""
        if chunk.ending and chunk.worker is not None:
            chunk.worker.ending -= 1
        chunk.ends, chunk.ending = inf, False

    def due(self) -> float | None:
        """Return when the next one is about to end; None where there is none."""
        while self._heap and self._heap[0][0] != self._heap[0][2].ends:
            heappop(self._heap)  # it has ended before that, and perhaps begun anew
        return self._heap[0][0] if self._heap else None

    def proceed(self, now: float) -> Iterator[Chunk]:
        """Count at their workers, and yield, those that have come close to their end by now."""
        while (due := self.due()) is not None and due <= now:
            chunk = heappop(self._heap)[2]
            assert chunk.worker is not None
            chunk.ending = True
            chunk.worker.ending += 1
            yield chunk
