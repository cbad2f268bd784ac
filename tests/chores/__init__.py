"""Tasks for the tests of jobs and workers: an analyses folder without an analysis."""

import ctypes
import os
import random
import sys
import threading
import time
from pathlib import Path

import numpy

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
def total(a: int, *rest: int) -> int:
    """Work with as many arguments as there are."""
    return a + sum(rest)


@task
def stumble(x: int) -> int:
    """Raise for some items, each in a way of its own."""
    match x % 10:
        case 1:
            raise KeyError("one")
        case 3:
            raise NoColourError("red", 7)
        case 5:
            raise StopIteration
        case 7:
            sys.exit("seven")
    return x


class NoColourError(Exception):
    """An exception that takes something else than it hands on."""

    def __init__(self, colour: str, shade: int) -> None:
        super().__init__(f"no {colour} {shade}")


@task
def grumble(x: int) -> None:
    """Raise with a long message that has half a surrogate pair in it."""
    raise ValueError("\udc80" + "a" * 100_000)


@task
def nap(seconds: float) -> float:
    """Take time."""
    time.sleep(seconds)
    return seconds


@task
def napping_double(x: int) -> int:
    """Work that takes a moment."""
    time.sleep(0.02)
    return 2 * x


@task
def length(data: bytes) -> int:
    """Take something large."""
    return len(data)


@task
def large(size: int) -> bytes:
    """Return something large."""
    return bytes(size)


@task
def drawn(x: int, seed: list[int]) -> float:
    """Draw from the item's own stream."""
    return float(numpy.random.default_rng(seed).random()) + x


@task
def where() -> tuple[str, int]:
    """Tell who runs this."""
    return databench.jobs.worker_name(), os.getpid()


@task
def slow_where(_: int) -> tuple[str, int]:
    """Tell who runs this, after a moment in which others get something to do too."""
    time.sleep(0.02)
    return where()


@task
def vanish_once(x: int, marker: str) -> int:
    """End the slot without a word, the first time that anybody gets to item 7."""
    if x == 7:
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return x
        os._exit(3)
    return x


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
def wait_for_gate(marks: str, gate: str) -> int:
    """Make a file that is called like this process, and wait until there is another one."""
    (Path(marks) / str(os.getpid())).touch()
    while not Path(gate).exists():
        time.sleep(0.005)
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
def plus(array: numpy.ndarray, number: float) -> numpy.ndarray:
    """Work with something large in place, and return it."""
    array += number
    return array


@task
def filled(length: int) -> numpy.ndarray:
    """Return an array."""
    return numpy.ones(length)


@task
def plus_once_held(array: numpy.ndarray, fifo: str, marker: str) -> numpy.ndarray:
    """Tell the process id and never come back, the first time; the second time, elsewhere, return the array."""
    hold_once(fifo, marker)
    return array + 1


@task
def total_at_word(array: numpy.ndarray, fifo: str, words: str) -> float:
    """Tell that it runs, and finish when told to."""
    Path(fifo).write_text(f"{os.getpid()}\n")
    Path(words).read_text()
    return float(array.sum())


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
