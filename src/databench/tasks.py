"""Tasks: the functions that workers may run, and how they are named.

Owns the register of tasks. Knows nothing of jobs, engines and processes.
"""

import inspect
import os
import socket
from collections.abc import Callable
from typing import Any, TypeVar

from databench.errors import AnalysisError

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


def known(name: str) -> Callable[..., Any] | None:
    """Return the task of this name; None where there is none in this process."""
    return _tasks.get(name)


def modules() -> list[str]:
    """Return the modules whose tasks are known here."""
    return sorted({name.partition(":")[0] for name in _tasks})
