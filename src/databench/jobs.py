"""Jobs: `map`, `starmap` and `submit`, what authors call to spread work, and the scope that ends jobs with a handler.

Knows an Engine only by its contract: no sockets, no session, no runner.
"""

import itertools
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Literal, TypedDict, TypeVar, Unpack, get_type_hints

from databench.engines.contract import Engine, Order
from databench.errors import AnalysisError, Cancelled
from databench.execution import Execution, Live
from databench.feeding import Feed, Items
from databench.performing import Ran, perform
from databench.progress import Later, Progress, Report, Reporter, in_a_thread
from databench.results import Job
from databench.submitted import Call, Submitted
from databench.tasks import become_worker, name_of, task, worker_name
from databench.wire.chunks import Chunking

__all__ = [
    "Job",
    "JobScope",
    "MapOptions",
    "Progress",
    "Ran",
    "SubmitOptions",
    "Submitted",
    "become_worker",
    "begin_map",
    "begin_starmap",
    "begin_submit",
    "current_scope",
    "map",
    "perform",
    "starmap",
    "submit",
    "task",
    "worker_name",
]

R = TypeVar("R")


class SubmitOptions(TypedDict, total=False):
    """How a call of a task is run; see `submit`."""

    retries: int
    timeout: float | None
    priority: int
    engine: str | None


class MapOptions(SubmitOptions, total=False):
    """How the calls of a task are run; see `map`."""

    chunk: int | Literal["auto"]
    ordered: bool
    errors: Literal["stop", "collect"]


_PROCESS = secrets.token_hex(8)
"""What the names of all jobs and scopes of this process begin with; no two processes on a bus have the same."""
_numbers = itertools.count(1)


def _new_name() -> str:
    return f"{_PROCESS}-{next(_numbers)}"


_SUBMIT_OPTIONS = frozenset(get_type_hints(SubmitOptions))
_MAP_OPTIONS = frozenset(get_type_hints(MapOptions))


class JobScope:
    """The jobs of one run of a handler: which engine runs them, and how they end with the handler.

    `check` is called at each step of a job and raises `Cancelled` when the handler is to stop. Who wants
    the handler to stop makes `check` raise and calls `cancel_all`, which also wakes a handler that waits.
    `group` names those whose jobs share the slots by priority: the session. `progress` is told how far the jobs are
    together, at most ten times a second, and with None when all are over; from any thread, for which `later` may
    bring it back to a loop. `engines` gives the engine that a call asks for by name.
    """

    def __init__(
        self,
        engine: Engine,
        check: Callable[[], None] | None = None,
        *,
        group: str = "",
        progress: Report | None = None,
        engines: Callable[[str], Engine] | None = None,
        clock: Callable[[], float] = time.monotonic,
        later: Later = in_a_thread,
    ) -> None:
        self.engine = engine
        self.group = group
        self.clock = clock
        self._check = check
        self._report = progress
        self._engines = engines
        self._later = later
        self._reporter: Reporter | None = None
        self._jobs: dict[str, Live] = {}
        self._lock = threading.Lock()
        self._closed = False

    def sibling(self, check: Callable[[], None] | None) -> "JobScope":
        """Return a scope with an end of its own, and in all else like this one."""
        return JobScope(
            self.engine,
            check,
            group=self.group,
            progress=self._report,
            engines=self._engines,
            clock=self.clock,
            later=self._later,
        )

    @property
    def jobs(self) -> list[Live]:
        """The jobs that are not finished."""
        with self._lock:
            return list(self._jobs.values())

    def engine_for(self, name: str | None) -> Engine:
        """Return the engine that a call asks for; raises AnalysisError where there is none of that name."""
        if name is None:
            return self.engine
        if self._engines is None:
            raise AnalysisError(f"engine={name!r} cannot be had here: there is one engine only")
        return self._engines(name)

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

    def add(self, job: Live) -> Reporter | None:
        """Take in a job that begins; return who tells of its progress."""
        self.check()
        with self._lock:
            if self._closed:
                raise Cancelled
            self._jobs[job.name] = job
            if self._report is not None and self._reporter is None:
                self._reporter = Reporter(_new_name(), self._report, self.clock, self._later)
        if self._reporter is not None:
            self._reporter.begun(job)
        return self._reporter

    def remove(self, job: Live) -> None:
        """Let go of a job that is over."""
        with self._lock:
            self._jobs.pop(job.name, None)


current_scope: ContextVar[JobScope] = ContextVar("current_scope")
"""The scope of the handler that runs in this context; the runner sets it."""


def map(  # the name of the builtin on purpose: it is `databench.map`
    task: Callable[..., R], *iterables: Iterable[Any], **options: Unpack[MapOptions]
) -> Job[R]:
    """Run a task for every item of the iterables on the workers, and return the Job that gives the results.

    Like the builtin `map`: the items of several iterables are the arguments of one call, and the shortest
    ends it. Items are taken as they are needed, so iterables may be endless. Options:

    - `chunk="auto"`: the number of items that travel together; "auto" learns it.
    - `ordered=False`: results come as they are completed, or in the order of the items.
    - `retries=2`: a chunk whose slot is lost (killed, crashed) runs again so many times.
    - `timeout=None`: seconds that a chunk, not an item, may take in its slot; then the job fails.
    - `priority=0`: among the jobs of this session higher ones go first.
    - `errors="stop"`: the first failure ends the job; with "collect" failed items come as a TaskError.
    - `engine=None`: another engine than the analysis has: "bus", "local" or "dask://HOST:PORT".

    Raises AnalysisError outside of a handler, for a function without `@databench.task`, for options that
    make no sense.

    >>> total = sum(databench.map(inside, [1_000] * 100, range(100)))  # doctest: +SKIP
    """
    return begin_map(_scope("map"), task, iterables, **options)


def starmap(task: Callable[..., R], arguments: Iterable[Iterable[Any]], **options: Unpack[MapOptions]) -> Job[R]:
    """Run a task for each tuple of arguments that the iterable gives; in all else as `map`.

    >>> job = databench.starmap(fit, [(data, 1), (data, 2, "robust")])  # doctest: +SKIP
    """
    return begin_starmap(_scope("starmap"), task, arguments, **options)


def submit(task: Callable[..., R], *arguments: Any, **options: Unpack[SubmitOptions]) -> Submitted[R]:
    """Run a task once on a worker, and return what gives its result.

    Takes `retries`, `timeout`, `priority` and `engine`, and raises, as `map` does.

    >>> estimate = databench.submit(fit, data).result()  # doctest: +SKIP
    """
    return begin_submit(_scope("submit"), task, arguments, **options)


def begin_map(
    scope: JobScope, task: Callable[..., R], iterables: tuple[Iterable[Any], ...], **options: Unpack[MapOptions]
) -> Job[R]:
    """Do what `map` does, in this scope."""
    if not iterables:
        raise AnalysisError("map needs at least one iterable; for a single call use submit")
    return Job(_begun(scope, task, Items.of, iterables, options))


def begin_starmap(
    scope: JobScope, task: Callable[..., R], arguments: Iterable[Iterable[Any]], **options: Unpack[MapOptions]
) -> Job[R]:
    """Do what `starmap` does, in this scope."""
    return Job(_begun(scope, task, Items.starred, arguments, options))


def begin_submit(
    scope: JobScope, task: Callable[..., R], arguments: tuple[Any, ...], **options: Unpack[SubmitOptions]
) -> Submitted[R]:
    """Do what `submit` does, in this scope."""
    _known_only(options, _SUBMIT_OPTIONS)
    order = _order(scope, task, options)
    return Submitted(Call(scope, scope.engine_for(options.get("engine")), order, arguments))


A = TypeVar("A")


def _begun(
    scope: JobScope, task: Callable[..., Any], take: Callable[[A], Items], given: A, options: MapOptions
) -> Execution:
    _known_only(options, _MAP_OPTIONS)
    order = _order(scope, task, options)
    chunk, errors = options.get("chunk", "auto"), options.get("errors", "stop")
    if chunk != "auto" and not _whole(chunk, 1):
        raise AnalysisError(f'chunk is a number of items from 1 on, or "auto", not {chunk!r}')
    if errors not in ("stop", "collect"):
        raise AnalysisError(f'errors is "stop" or "collect", not {errors!r}')
    feed = Feed(
        scope.engine_for(options.get("engine")),
        order,
        take(given),
        Chunking(None if chunk == "auto" else chunk),
        scope.clock,
        collect=errors == "collect",
    )
    return Execution(scope, feed, ordered=options.get("ordered", False))


def _order(scope: JobScope, task: Callable[..., Any], options: SubmitOptions) -> Order:
    """Return what all chunks of a new job have in common; raises AnalysisError for options that make no sense."""
    name = name_of(task)
    if not options:
        return Order(_new_name(), scope.group, 0, name)
    retries, priority = options.get("retries", 2), options.get("priority", 0)
    timeout = options.get("timeout")
    if not _whole(retries, 0):
        raise AnalysisError(f"retries is a number from 0 on, not {retries!r}")
    if not _whole(priority, None):
        raise AnalysisError(f"priority is a whole number, higher goes first, not {priority!r}")
    if timeout is not None and not (isinstance(timeout, int | float) and 0 < timeout < math.inf):
        raise AnalysisError(f"timeout is a number of seconds above 0, or None for no limit, not {timeout!r}")
    return Order(_new_name(), scope.group, 0, name, retries, float(timeout or 0.0), priority)


def _known_only(options: Mapping[str, object], known: frozenset[str]) -> None:
    if unknown := options.keys() - known:
        raise AnalysisError(f"there is no option {min(unknown)!r}; there are {', '.join(sorted(known))}")


def _whole(value: object, least: int | None) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and (least is None or value >= least)


def _scope(what: str) -> JobScope:
    if (scope := current_scope.get(None)) is None:
        raise AnalysisError(
            f"{what} was called outside of a handler; call it inside a function under @….signals.on(…), "
            "or in a thread started there by databench.thread"
        )
    return scope
