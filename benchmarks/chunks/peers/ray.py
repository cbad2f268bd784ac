"""Ray: one node on this machine, with as many CPUs as slots."""

import os
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

# Its processes are to listen on 127.0.0.1 only, as they do on systems that it has no clusters on.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
import ray

from benchmarks.chunks.contract import PATIENCE, Pool
from benchmarks.chunks.workload import Task

STORE = 2 * 10**9
"""Bytes of its object store."""


@cache
def remote(task: Task) -> Any:
    return ray.remote(task)


class RayPool(Pool):
    pace = 1_000

    def __init__(self, workers: int, slots: int, lossless: bool) -> None:
        super().__init__(workers, slots, lossless)
        ray.init(
            num_cpus=self.slots,
            object_store_memory=STORE,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
            _node_ip_address="127.0.0.1",
        )

    def completed(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        waiting = [remote(task).remote(item) for item in items]
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=1, timeout=PATIENCE)
            if not ready:
                raise TimeoutError
            try:
                yield ray.get(ready[0])
            except ray.exceptions.RayError as error:
                yield error

    def submit(self, task: Task, item: Any) -> Callable[[], Any]:
        reference = remote(task).remote(item)
        return lambda: ray.get(reference)

    def map(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        return ray.get([remote(task).remote(item) for item in items])

    def close(self) -> None:
        ray.shutdown()
