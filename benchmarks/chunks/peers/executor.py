"""`concurrent.futures.ProcessPoolExecutor`, with workers of one slot each: its only kind."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from benchmarks.chunks.contract import PATIENCE, Pool
from benchmarks.chunks.workload import Task


class ExecutorPool(Pool):
    pace = 5_000

    def __init__(self, workers: int, slots: int, lossless: bool) -> None:
        super().__init__(workers, slots, lossless)
        self._pool = ProcessPoolExecutor(self.slots)

    def completed(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        futures = {self._pool.submit(task, item) for item in items}
        for future in as_completed(futures, PATIENCE):
            # What has been given is not kept.
            futures.discard(future)
            yield future.exception() or future.result()

    def submit(self, task: Task, item: Any) -> Callable[[], Any]:
        return self._pool.submit(task, item).result

    def map(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        return self._pool.map(task, items)

    def batched(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        return self._pool.map(task, items, chunksize=self.batch)

    def close(self) -> None:
        self._pool.shutdown()
