"""RQ over Redis: its workers that do not fork for each task, or, where processes may be lost, those that do."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

from redis import Redis
from rq import Queue, Retry, Worker
from rq.job import Job
from rq.results import Result

from benchmarks.chunks.contract import PATIENCE, Pool
from benchmarks.chunks.redis import redis_server
from benchmarks.chunks.workload import Task
from benchmarks.processes import end, parent_of, wait_until

RETRIES = 2
POLL = 0.002
"""Seconds between two looks at what is finished."""


class RQPool(Pool):
    pace = 500

    def __init__(self, workers: int, slots: int, lossless: bool) -> None:
        super().__init__(workers, slots, lossless)
        kind = "rq.worker.Worker" if lossless else "rq.worker.SimpleWorker"
        with ExitStack() as starting:
            url = starting.enter_context(redis_server())
            self._redis = starting.enter_context(Redis.from_url(url))
            command = [sys.executable, "-m", "rq.cli", "worker", "--quiet", "--url", url, "--worker-class", kind]
            for _ in range(self.slots):
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                starting.callback(end, process)
            wait_until("all workers are registered", lambda: Worker.count(connection=self._redis) == self.slots)
            self._ending = starting.pop_all()
        self._queue = Queue(connection=self._redis)
        self._retry = Retry(RETRIES) if lossless else None

    def completed(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        data = [Queue.prepare_data(task, (item,), retry=self._retry) for item in items]
        waiting = {job.id for job in self._queue.enqueue_many(data)}
        last = time.monotonic()
        while waiting:
            for job in waiting & self._over():
                waiting.discard(job)
                last = time.monotonic()
                yield self._outcome(job)
            if time.monotonic() - last > PATIENCE:
                raise TimeoutError
            time.sleep(POLL)

    def _over(self) -> set[str]:
        registries = self._queue.finished_job_registry, self._queue.failed_job_registry
        return {job for registry in registries for job in registry.get_job_ids(cleanup=False)}

    def map(self, task: Task, items: Sequence[Any]) -> Iterable[Any]:
        jobs = self._queue.enqueue_many([Queue.prepare_data(task, (item,)) for item in items])
        return (job.latest_result(timeout=int(PATIENCE)).return_value for job in jobs)

    def submit(self, task: Task, item: Any) -> Callable[[], Any]:
        job = self._queue.enqueue(task, item)
        return lambda: job.latest_result(timeout=int(PATIENCE)).return_value

    def _outcome(self, job: str) -> Any:
        result = Job.fetch(job, connection=self._redis).latest_result()
        return result.return_value if result.type is Result.Type.SUCCESSFUL else RuntimeError(result.exc_string)

    def worker_of(self, slot: int) -> int:
        return parent_of(slot)

    def close(self) -> None:
        self._ending.close()
