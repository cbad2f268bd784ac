"""dask.distributed: a LocalCluster of workers with one thread each."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from distributed import Client, LocalCluster, as_completed

from benchmarks.chunks.contract import PATIENCE, Pool
from benchmarks.chunks.workload import Task, batch


def batch_to_array(part: tuple[Task, Sequence[Any]]) -> np.ndarray:
    return np.array(batch(part))


class DaskPool(Pool):
    pace = 500

    def __init__(self, workers: int, slots: int, lossless: bool) -> None:
        super().__init__(workers, slots, lossless)
        self._cluster = LocalCluster(n_workers=self.slots, threads_per_worker=1, dashboard_address=None)
        self._client = Client(self._cluster)

    def completed(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        futures = self._client.map(task, items, pure=False)
        results = as_completed(futures, with_results=True, raise_errors=False, timeout=PATIENCE)
        del futures
        for _, result in results:
            yield result

    def submit(self, task: Task, item: Any) -> Callable[[], Any]:
        return self._client.submit(task, item, pure=False).result

    def map(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        return self._client.gather(self._client.map(task, items, pure=False))

    def batched(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        parts = [(task, items[start : start + self.batch]) for start in range(0, len(items), self.batch)]
        # It packs lists item by item, ten times slower than all else that it does here.
        return chain.from_iterable(array.tolist() for array in self.map(batch_to_array, parts))

    def close(self) -> None:
        self._client.close()
        self._cluster.close()
