"""Tasks: the functions that workers may run, how they are named, and how a chunk of one is run.

Owns the register of tasks. Knows nothing of jobs, engines and processes: slots and threads run the same code.
"""

import inspect
import os
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from databench.errors import AnalysisError, PayloadError, RemoteProtocolError
from databench.wire import codec
from databench.wire.chunks import Failure

F = TypeVar("F", bound=Callable[..., Any])

_tasks: dict[str, Callable[..., Any]] = {}
_worker: list[str] = []


def task(function: F) -> F:
    """Make a function of a module one that workers may run; it stays directly callable.

    A task is known by its import name, so only functions at the top level of a module can be one: an
    AnalysisError says so for lambdas, nested functions, methods and coroutine functions.

    >>> @task
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> double(4)
    8
    """
    name = getattr(function, "__qualname__", repr(function))
    if not inspect.isfunction(function):
        raise AnalysisError(f"{name} is not a plain function; only functions of a module can be tasks")
    if "<lambda>" in name:
        raise AnalysisError("a lambda has no name to be found by on a worker; write the task as a function")
    if "<locals>" in name:
        raise AnalysisError(f"the task {name} is defined inside a function; move it to the top level of its module")
    if "." in name:
        raise AnalysisError(f"the task {name} is a method; write it as a function at the top level of its module")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise AnalysisError(f"the task {name} is async; tasks are plain functions, which a slot runs one at a time")
    _tasks[f"{function.__module__}:{name}"] = function
    return function


def name_of(function: Callable[..., Any]) -> str:
    """Return the name by which workers know a task; raises AnalysisError when it is not one."""
    name = f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"
    if _tasks.get(name) is not function:
        shown = getattr(function, "__qualname__", repr(function))
        raise AnalysisError(f"{shown} is not a task; put @databench.task above its definition")
    return name


def worker_name() -> str:
    """Return the name of the worker that runs the current task; elsewhere host name and process id."""
    return _worker[0] if _worker else f"{socket.gethostname()}-{os.getpid()}"


def become_worker(name: str) -> None:
    """Make `name` what `worker_name` returns in this process (slots call it)."""
    _worker[:] = [name]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a chunk went: its results, or the Failure, as bytes."""

    failed: bool
    seconds: float
    payload: bytes


def perform(name: str, payload: bytes) -> Ran:
    """Run a chunk of the task `name` in this thread; what goes wrong is returned, never raised."""
    started = time.perf_counter()
    results: list[object] = []
    try:
        function = _tasks.get(name)
        if function is None:
            return _unknown(name)
        for arguments in codec.unpack(payload):
            results.append(function(*arguments))
    except RemoteProtocolError as error:
        return _failure(None, error, started)
    except BaseException as error:
        # sys.exit() in a task too: it is the task that ends, not the slot
        return _failure(len(results), error, started)
    seconds = time.perf_counter() - started
    try:
        return Ran(False, seconds, codec.pack(results))
    except PayloadError as error:
        return _unsendable(results, error, seconds)


def _failure(item: int | None, error: BaseException, started: float) -> Ran:
    # the first frame is perform() itself
    trace = error.__traceback__.tb_next if error.__traceback__ else None
    text = "".join(traceback.format_exception(type(error), error, trace))
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be shown)"
    failure = Failure(item, type(error).__name__, message, text)
    return Ran(True, time.perf_counter() - started, failure.to_bytes())


def _unsendable(results: list[object], error: PayloadError, seconds: float) -> Ran:
    item = None
    for index, result in enumerate(results):
        try:
            codec.pack(result)
        except PayloadError as single:
            item, error = index, single
            break
    message = f"what the task returned cannot be sent: {error}"
    return Ran(True, seconds, Failure(item, "PayloadError", message, f"PayloadError: {message}\n").to_bytes())


def _unknown(name: str) -> Ran:
    modules = sorted({known.partition(":")[0] for known in _tasks})
    message = (
        f"the task {name} is not known on {worker_name()}, which knows tasks of "
        f"{', '.join(modules) or 'no module'}; do all workers have the same analyses?"
    )
    return Ran(True, 0.0, Failure(None, "AnalysisError", message, f"AnalysisError: {message}\n").to_bytes())
