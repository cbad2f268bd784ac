"""Tasks for the tests of jobs and workers: an analyses folder without an analysis."""

import os
import random
import sys
import threading
from pathlib import Path

import databench.jobs
from databench.jobs import task


@task
def double(x: int) -> int:
    """Work."""
    return 2 * x


@task
def add(a: int, b: int) -> int:
    """Work with two arguments."""
    return a + b


@task
def nothing() -> str:
    """Work without arguments."""
    return "nothing"


@task
def refuse(x: int, bad: int) -> int:
    """Raise for one item."""
    if x == bad:
        raise ValueError(f"cannot do {x}")
    return x


@task
def unsendable(x: int) -> object:
    """Return what no message can hold."""
    return {"ok": x, "bad": [object()]} if x == 2 else x


@task
def where() -> tuple[str, int]:
    """Tell who runs this."""
    return databench.jobs.worker_name(), os.getpid()


@task
def dice() -> float:
    """Draw from a global generator."""
    return random.random()


@task
def leave(code: int) -> None:
    """Ask Python to end, as scripts do."""
    sys.exit(code)


@task
def vanish(code: int) -> None:
    """End the slot without a word."""
    os._exit(code)


@task
def shout(text: str) -> None:
    """Print."""
    sys.stdout.write(f"{text}\n")


@task
def hold(fifo: str) -> None:
    """Tell the process id, and never come back. The pipe stays open as long as this process lives."""
    pipe = os.open(fifo, os.O_WRONLY)
    os.write(pipe, f"{os.getpid()}\n".encode())
    threading.Event().wait()


@task
def hold_once(fifo: str, marker: str) -> int:
    """Do that the first time; the second time, elsewhere, finish."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return os.getpid()
    hold(fifo)
    raise AssertionError


@task
def wait_for_word(fifo: str, answers: str) -> str:
    """Tell that it runs, and finish when told to."""
    Path(fifo).write_text("running\n")
    return Path(answers).read_text()
