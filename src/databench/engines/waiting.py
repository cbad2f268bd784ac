"""Orders that wait for a slot of an engine that has no broker: groups take turns, and jobs within a group.

Owns who is next. Knows neither threads nor clocks; whoever uses it holds a lock.
"""

from collections import deque
from dataclasses import dataclass

from databench.engines.contract import Order, Sink
from databench.wire.parts import Source


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order with its items and who gets the answer."""

    order: Order
    payload: Source
    sink: Sink


class Line:
    """Who waits. `take` gives each group its turn; in it the jobs of the highest priority take turns.

    >>> line = Line()
    >>> for job, group in (("a", "1"), ("a", "1"), ("b", "2")):
    ...     line.add(Waiting(Order(job, group, 0, "m:f"), b"", sink=None))  # type: ignore[arg-type]
    >>> [line.take().order.job for _ in range(3)]
    ['a', 'b', 'a']
    """

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, deque[Waiting]]] = {}
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def add(self, waiting: Waiting) -> None:
        """Let a chunk wait behind the others of its job."""
        jobs = self._groups.setdefault(waiting.order.group, {})
        jobs.setdefault(waiting.order.job, deque()).append(waiting)
        self._length += 1

    def add_first(self, waiting: Waiting) -> None:
        """Let a chunk wait before the others of its job: it had its turn and was lost."""
        jobs = self._groups.setdefault(waiting.order.group, {})
        jobs.setdefault(waiting.order.job, deque()).appendleft(waiting)
        self._length += 1

    def take(self) -> Waiting:
        """Return the chunk that is next; raises LookupError where none waits."""
        if not self._groups:
            raise LookupError("nobody waits")
        group = next(iter(self._groups))
        jobs = self._groups.pop(group)
        # Of several with the same priority the first in the dict, whose turn is longest ago.
        job = max(jobs, key=lambda job: jobs[job][0].order.priority)
        chunks = jobs.pop(job)
        taken = chunks.popleft()
        if chunks:
            jobs[job] = chunks
        if jobs:
            self._groups[group] = jobs
        self._length -= 1
        return taken

    def cancel(self, job: str) -> None:
        """Forget a job."""
        for group, jobs in list(self._groups.items()):
            self._length -= len(jobs.pop(job, ()))
            if not jobs:
                del self._groups[group]
