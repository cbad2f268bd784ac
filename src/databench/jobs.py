"""Jobs: `map` and `submit`, what authors call to spread work, and the scope that ends jobs with a handler.

Knows an Engine only by its contract: no sockets, no session, no runner.
"""

import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

from databench.engines.contract import Engine
from databench.errors import AnalysisError, Cancelled
from databench.feeding import Feed
from databench.results import Job, Progress, Submitted
from databench.tasks import become_worker, name_of, perform, task, worker_name
from databench.wire.chunks import Chunking

__all__ = [
    "Job",
    "JobScope",
    "Progress",
    "Submitted",
    "become_worker",
    "current_scope",
    "map",
    "perform",
    "submit",
    "task",
    "worker_name",
]

R = TypeVar("R")

DEFAULT_RETRIES = 2


class JobScope:
    """The jobs of one run of a handler: which engine runs them, and how they end with the handler.

    `check` is called at each step of a job and raises `Cancelled` when the handler is to stop. Who wants
    the handler to stop makes `check` raise and calls `cancel_all`, which also wakes a handler that waits.
    """

    def __init__(self, engine: Engine, check: Callable[[], None] | None = None) -> None:
        self.engine = engine
        self._check = check
        self._jobs: dict[str, Job[Any]] = {}
        self._lock = threading.Lock()
        self._closed = False

    @property
    def jobs(self) -> list[Job[Any]]:
        """The jobs that are not finished."""
        with self._lock:
            return list(self._jobs.values())

    def check(self) -> None:
        """Raise Cancelled when the handler is to stop."""
        if self._check is not None:
            self._check()
        if self._closed:
            raise Cancelled

    def cancel_all(self) -> None:
        """Cancel the live jobs and every later one; whoever waits for one gets Cancelled. From any thread."""
        with self._lock:
            self._closed = True
        for job in self.jobs:
            job.stop()

    def add(self, job: Job[Any]) -> None:
        """Take in a job that begins."""
        self.check()
        with self._lock:
            if self._closed:
                raise Cancelled
            self._jobs[job.name] = job

    def remove(self, job: Job[Any]) -> None:
        """Let go of a job that is over."""
        with self._lock:
            self._jobs.pop(job.name, None)


current_scope: ContextVar[JobScope] = ContextVar("current_scope")
"""The scope of the handler that runs in this context; the runner sets it."""


def map(  # the name of the builtin on purpose: it is `databench.map`
    task: Callable[..., R],
    *iterables: Iterable[Any],
    chunk: int | Literal["auto"] = "auto",
    ordered: bool = False,
    retries: int = DEFAULT_RETRIES,
) -> Job[R]:
    """Run a task for every item of the iterables on the workers, and return the Job that gives the results.

    Like the builtin `map`: the items of several iterables are the arguments of one call, and the shortest
    ends it. Items are taken as they are needed, so iterables may be endless. `chunk` is the number of items
    that travel together; "auto" learns it. Results come as they are completed, or `ordered`. A chunk whose
    slot is lost (killed, crashed) runs again up to `retries` times.

    Raises AnalysisError outside of a handler, for a function without `@databench.task`, for a chunk below 1.

    >>> total = sum(databench.map(inside, [1_000] * 100, range(100)))  # doctest: +SKIP
    """
    if not iterables:
        raise AnalysisError("map needs at least one iterable; for a single call use submit")
    if chunk != "auto" and (not isinstance(chunk, int) or chunk < 1):
        raise AnalysisError(f'chunk is a number of items from 1 on, or "auto", not {chunk!r}')
    chunking = Chunking(None if chunk == "auto" else chunk)
    return Job(_scope("map"), Feed(name_of(task), iterables, chunking, _checked(retries)), ordered=ordered)


def submit(task: Callable[..., R], *arguments: Any, retries: int = DEFAULT_RETRIES) -> Submitted[R]:
    """Run a task once on a worker, and return what gives its result. Raises as `map` does.

    >>> estimate = databench.submit(fit, data).result()  # doctest: +SKIP
    """
    feed = Feed(name_of(task), [[argument] for argument in arguments] or None, Chunking(1), _checked(retries))
    return Submitted(Job(_scope("submit"), feed, ordered=False))


def _checked(retries: int) -> int:
    if retries < 0:
        raise AnalysisError(f"retries is a number from 0 on, not {retries!r}")
    return retries


def _scope(what: str) -> JobScope:
    if (scope := current_scope.get(None)) is None:
        raise AnalysisError(
            f"{what} was called outside of a handler; call it inside a function under @….signals.on(…), "
            "or in a thread started there by databench.thread"
        )
    return scope
