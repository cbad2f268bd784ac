"""Databench's side: the slots of its workers as a pool, measured from inside a handler."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import databench
from benchmarks.chunks.contract import Pool
from benchmarks.chunks.measures import MEASURES
from benchmarks.chunks.workload import TASKS, Task
from benchmarks.processes import parent_of

slots = databench.Analysis("slots", __name__)
slots.show_in_index = False

for each in TASKS:
    databench.task(each)


class SlotsPool(Pool):
    """The workers of this bus."""

    pace = 1_000_000

    def completed(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        return databench.map(task, items)

    def batched(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        return databench.map(task, items)

    def submit(self, task: Task, item: Any) -> Callable[[], Any]:
        return databench.submit(task, item).result

    def worker_of(self, slot: int) -> int:
        nursery = parent_of(slot)
        return parent_of(nursery)

    def close(self) -> None:
        """Do nothing: they go on."""


@slots.signals.on("measure")
def measure(case: str, workers: int, each: int) -> None:
    with SlotsPool(workers, each, lossless=False) as pool:
        slots.signals.emit("measured", MEASURES[case](pool))
