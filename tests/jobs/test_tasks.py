"""What can be a task, and what is told where it cannot."""

import doctest
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from databench import jobs, performing, progress, seeding, tasks
from databench.engines import choice, local, names, waiting
from databench.errors import AnalysisError
from databench.performing import perform
from databench.tasks import name_of, task
from databench.wire.chunks import Calls, Failure


def test_the_examples_in_the_docstrings_hold() -> None:
    modules = (tasks, performing, jobs, seeding, progress, local, choice, names, waiting)
    assert [doctest.testmod(module).failed for module in modules] == [0] * 9


def test_a_task_is_known_by_its_import_name_and_stays_callable(chores: ModuleType) -> None:
    assert name_of(chores.double) == "chores:double"
    assert chores.double(4) == 8


def nested() -> Callable[[], None]:
    def inner() -> None: ...

    return inner


class Holder:
    def method(self) -> None: ...


async def coroutine() -> None: ...


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda: None, "lambda"),
        (nested(), "inside a function"),
        (Holder.method, "method"),
        (Holder, "not a plain function"),
        (coroutine, "async"),
    ],
)
def test_what_workers_could_not_find_is_refused(function: Callable[..., Any], why: str) -> None:
    with pytest.raises(AnalysisError, match=why):
        task(function)


def test_a_function_without_the_decorator_is_named() -> None:
    with pytest.raises(AnalysisError, match=r"nested is not a task; put @databench\.task"):
        name_of(nested)


def test_a_task_that_is_not_known_is_named_with_the_modules_that_are(chores: ModuleType) -> None:
    ran = perform("elsewhere:missing", Calls([[1]]).to_bytes())
    failure = Failure.from_bytes(ran.payload)
    assert ran.failed
    assert "elsewhere:missing" in failure.message
    assert "chores" in failure.message


def test_items_that_do_not_decode_are_a_failure_and_no_crash(chores: ModuleType) -> None:
    ran = perform("chores:double", b"\xc1")
    assert (ran.failed, Failure.from_bytes(ran.payload).item) == (True, None)


def test_importing_jobs_is_light() -> None:
    code = "import sys, databench.jobs; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert {"zmq", "fastapi", "matplotlib", "numpy"} & set(run.stdout.split()) == set()
