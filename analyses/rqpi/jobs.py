"""The part that needs Redis Queue. Its workers import this module, which is also their configuration."""

import os
from collections.abc import Callable, Generator, Iterable
from typing import Any

import numpy as np
from redis import Redis, RedisError
from rq import Queue, Worker
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.results import Result
from rq.serializers import JSONSerializer

REDIS_URL = os.environ.get("RQ_REDIS_URL", "redis://127.0.0.1:6379")
QUEUES = ["rqpi"]

# JSON, not pickle: whoever reaches Redis would run code of theirs here.
queue = Queue("rqpi", Redis.from_url(REDIS_URL, socket_connect_timeout=0.5), serializer=JSONSerializer)

GRAVITY = 9.81
LOOK = 500
"""Milliseconds between two looks whether the results are still wanted."""


def resample(lengths: list[float], periods: list[float], times: int, seed: int) -> list[float]:
    """Estimate pi from as many measurements, drawn from these with replacement, again and again."""
    drawn = np.random.default_rng(seed).integers(len(lengths), size=(times, len(lengths)))
    length, squared = np.array(lengths)[drawn], np.array(periods)[drawn] ** 2
    slope = np.sum(length * squared, axis=1) / np.sum(length**2, axis=1)
    estimates: list[float] = (np.sqrt(slope * GRAVITY) / 2).tolist()
    return estimates


def missing() -> str:
    """Say what is missing before jobs can run; nothing if all is there."""
    try:
        if Worker.count(queue=queue):
            return ""
    except RedisError:
        return (
            f"No Redis answers at {REDIS_URL.rpartition('@')[2]}. Start one with redis-server, or say in RQ_REDIS_URL "
            "where it is, and begin again."
        )
    return "Redis is there, but no worker of RQ yet. In the folder that holds the analyses start: " + command()


def command() -> str:
    """Return what starts a worker."""
    return f"rq worker --path . --config {__name__} --serializer json"


def reachable() -> bool:
    """Whether there is a Redis."""
    try:
        return bool(queue.connection.ping())
    except RedisError:
        return False


def spread(arguments: Iterable[tuple[Any, ...]], check: Callable[[], None]) -> Generator[tuple[str, list[float]]]:
    """Run `resample` on the workers; give the name of a worker and its result as each comes.

    `check` raises when the results are not wanted any more. When this generator is closed, however it ends, what is
    left of the jobs is taken back. Raises RuntimeError where a job fails.
    """
    jobs = queue.enqueue_many(
        [Queue.prepare_data(resample, each, timeout=30, result_ttl=60, failure_ttl=60) for each in arguments]
    )
    waiting = {Result.get_key(job.id).encode(): job for job in jobs}
    try:
        while waiting:
            # The streams to which RQ writes results tell of whichever comes first.
            news = queue.connection.xread(dict.fromkeys(waiting, "0-0"), block=LOOK)
            check()
            for key in waiting.keys() & dict(news or ()).keys():
                yield _result(waiting.pop(key))
    finally:
        _take_back(list(waiting.values()))


def _result(job: Job) -> tuple[str, list[float]]:
    result = job.latest_result()
    if result is None or result.type is not Result.Type.SUCCESSFUL:
        reason = result and (result.exc_string or "").strip().rpartition("\n")[2]
        raise RuntimeError(f"a job failed: {reason or 'it was stopped'}")
    return result.worker_name or "", result.return_value or []


def _take_back(jobs: list[Job]) -> None:
    """Remove jobs that wait from the queue, the last first, and stop those that run."""
    for job in reversed(jobs):
        if queue.remove(job):
            job.delete()
            continue
        try:
            send_stop_job_command(queue.connection, job.id, serializer=JSONSerializer)
        except (InvalidJobOperation, NoSuchJobError):
            continue  # it is over, or begins at this moment and runs to its end
