"""Tasks for the tests of jobs and workers: an analyses folder without an analysis."""

import ctypes
import os
import random
import sys
import threading
import time
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
def late_once(fifo: str, marker: str, words: str) -> int:
    """Tell the process id, and finish when told to, the first time; the second time, elsewhere, at once."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return os.getpid()
    pipe = os.open(fifo, os.O_WRONLY)
    os.write(pipe, f"{os.getpid()}\n".encode())
    Path(words).read_text()
    os.close(pipe)
    return os.getpid()


@task
def wait_for_word(fifo: str, answers: str) -> str:
    """Tell that it runs, and finish when told to."""
    Path(fifo).write_text("running\n")
    return Path(answers).read_text()


@task
def sleep(seconds: float) -> int:
    """Take time, and tell where."""
    time.sleep(seconds)
    return os.getpid()


@task
def hog(fifo: str, seconds: float) -> int:
    """Tell the process id, and keep the interpreter for a while, as C code does that never lets go of it."""
    pipe = os.open(fifo, os.O_WRONLY)
    os.write(pipe, f"{os.getpid()}\n".encode())
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))
    return os.getpid()


@task
def grab(size: int) -> int:
    """Take memory, and give it back."""
    return len(bytearray(size))


@task
def produce(size: int) -> bytes:
    """Return much."""
    return bytes(size)


@task
def print_much(lines: int) -> int:
    """Print more than any pipe holds."""
    for _ in range(lines):
        sys.stdout.write("x" * 99 + "\n")
    return lines


@task
def fork(fifo: str) -> int:
    """Leave a process behind that lives on; it holds the pipe."""
    pipe = os.open(fifo, os.O_WRONLY)
    if pid := os.fork():
        os.write(pipe, f"{pid}\n".encode())
        os.close(pipe)
        return pid
    threading.Event().wait()
    raise AssertionError


@task
def start_threads(count: int) -> int:
    """Leave threads behind that live on."""
    for _ in range(count):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    return threading.active_count()
