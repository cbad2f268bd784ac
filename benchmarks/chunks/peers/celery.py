"""Celery over Redis: nodes of processes that are forked once. The nodes import `app`, too."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from itertools import chain
from typing import Any

import celery.exceptions
from celery import Celery
from celery.result import ResultSet

from benchmarks.chunks.contract import PATIENCE, Pool
from benchmarks.chunks.redis import redis_server
from benchmarks.chunks.workload import TASKS, Task
from benchmarks.processes import end, parent_of, wait_until

LOSSLESS = "CELERY_BENCH_LOSSLESS"
"""Set for the nodes that are to acknowledge late."""

app = Celery()
app.conf.update(
    task_serializer="pickle",
    result_serializer="pickle",
    accept_content=["pickle"],
    task_acks_late=LOSSLESS in os.environ,
    task_reject_on_worker_lost=LOSSLESS in os.environ,
    broker_connection_retry_on_startup=True,
)
REGISTERED = {task: app.task(task, name=task.__name__) for task in TASKS}


class CeleryPool(Pool):
    pace = 400

    def __init__(self, workers: int, slots: int, lossless: bool) -> None:
        super().__init__(workers, slots, lossless)
        # The nodes unpickle arrays, and only what this process sends: no reason to refuse where root runs them.
        environment = {**os.environ, "C_FORCE_ROOT": "1", **({LOSSLESS: "1"} if lossless else {})}
        with ExitStack() as starting:
            url = starting.enter_context(redis_server())
            app.conf.update(broker_url=url, result_backend=url)
            command = [sys.executable, "-m", "celery", "-A", __name__, "-b", url, "--result-backend", url, "worker"]
            for number in range(workers):
                node = [*command, "-c", str(slots), "-n", f"{number}@localhost", "--without-gossip", "--without-mingle"]
                process = subprocess.Popen(node, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                starting.callback(end, process)
            wait_until("all nodes answer", lambda: len(app.control.ping(timeout=0.5)) == workers)
            self._ending = starting.pop_all()

    def completed(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        results = ResultSet([REGISTERED[task].delay(item) for item in items])
        try:
            for _, each in results.iter_native(timeout=PATIENCE):
                yield each["result"]
        except celery.exceptions.TimeoutError:
            raise TimeoutError from None

    def submit(self, task: Task, item: Any) -> Callable[[], Any]:
        return REGISTERED[task].delay(item).get

    def batched(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        group = REGISTERED[task].chunks(((item,) for item in items), self.batch).group()
        return chain.from_iterable(each["result"] for _, each in group().iter_native(timeout=PATIENCE))

    def worker_of(self, slot: int) -> int:
        return parent_of(slot)

    def close(self) -> None:
        self._ending.close()
