"""What a case gets of every peer: a running pool of slots."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from benchmarks.chunks.workload import Task, batch

PATIENCE = 20.0
"""Seconds that a pool waits for results before it raises TimeoutError."""


class Pool(ABC):
    """Some workers with some slots each, ready; tasks take one argument.

    `lossless` asks for all that the peer has against the loss of a process, such as retries.
    """

    pace = 10_000
    """Single tasks a second that the peer can about do: cases take fewer where it is slow."""
    batch = 5_000
    """Items in a batch: about the best size for no-op items."""

    def __init__(self, workers: int, slots: int, lossless: bool) -> None:
        self.slots = workers * slots

    @abstractmethod
    def completed(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        """Give the results as they come, and exceptions in place of those that do not; each item is a task."""

    @abstractmethod
    def submit(self, task: Task, item: Any) -> Callable[[], Any]:
        """Hand in one task; return what waits for its result."""

    def map(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        """Give all results in any order, by the peer's usual way to map and without any options."""
        return self.completed(task, items)

    def batched(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        """Give all results in any order, in the best batches that can be had."""
        parts = [(task, items[start : start + self.batch]) for start in range(0, len(items), self.batch)]
        for part in self.map(batch, parts):
            yield from part

    def worker_of(self, slot: int) -> int:
        """Return the process to kill for the loss of a whole worker, not just of this slot's process."""
        raise NotImplementedError

    @abstractmethod
    def close(self) -> None:
        """End all processes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
