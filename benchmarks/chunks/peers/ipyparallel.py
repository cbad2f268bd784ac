"""ipyparallel: a controller, and engines of one slot each, balanced."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import as_completed
from typing import Any

import ipyparallel

from benchmarks.chunks.contract import PATIENCE, Pool
from benchmarks.chunks.workload import Task

RETRIES = 2


class IpyparallelPool(Pool):
    pace = 200

    def __init__(self, workers: int, slots: int, lossless: bool) -> None:
        super().__init__(workers, slots, lossless)
        self._directory = tempfile.TemporaryDirectory()
        os.environ["IPYTHONDIR"] = self._directory.name
        self._cluster = ipyparallel.Cluster(n=self.slots, log_level=logging.ERROR)
        self._client = self._cluster.start_and_connect_sync()
        self._balanced = self._client.load_balanced_view()
        self._balanced.retries = RETRIES if lossless else 0

    def completed(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        waiting = {self._balanced.apply_async(task, item) for item in items}
        for result in as_completed(waiting, PATIENCE):
            waiting.discard(result)
            try:
                yield result.get()
            except ipyparallel.error.IPythonError as error:
                yield error

    def submit(self, task: Task, item: Any) -> Callable[[], Any]:
        return self._balanced.apply_async(task, item).get

    def map(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        return self._balanced.map_sync(task, items)

    def batched(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        # One part for each engine; nothing is balanced.
        return self._client[:].map_sync(task, items)

    def close(self) -> None:
        self._client.close()
        self._cluster.stop_cluster_sync()
        self._directory.cleanup()
