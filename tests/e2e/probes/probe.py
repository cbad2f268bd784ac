"""One handler for each thing that the tests want to see from outside."""

import os
import threading
import time
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

import databench

probe = databench.Analysis("probe", __name__)
probe.description = __doc__

released = threading.Event()
ends: list[float] = []
takers: list[int] = []


@databench.task
def double(number: int) -> int:
    """Do a little work."""
    return 2 * number


@databench.task
def napping(seconds: float) -> tuple[str, int]:
    """Sleep, and tell where."""
    time.sleep(seconds)
    return databench.worker_name(), os.getpid()


@databench.task
def doubling_slowly(number: int) -> int:
    """Do a little work that takes a moment."""
    time.sleep(0.005)
    return 2 * number


@databench.task
def waiting(mark: str, gate: str) -> None:
    """Make a file, and wait for another."""
    Path(mark).touch()
    while not Path(gate).exists():
        time.sleep(0.01)


@databench.task
def dividing(number: int) -> float:
    """Raise for 0."""
    return 1 / number


@probe.signals.on("compute on workers", policy="restart")
def compute_on_workers(seconds: Annotated[float, Field(ge=0)]) -> None:
    """Run until the workers have slept, or the next signal, or `cancel`."""
    probe.signals.emit("computing", seconds)
    try:
        for _ in databench.map(napping, [seconds] * 2):
            pass
    finally:
        ends.append(seconds)


@probe.signals.on("which ended")
def which_ended() -> None:
    """Tell which of those above have ended."""
    probe.signals.emit("ended", ends)


@probe.signals.on("connect")
def greet() -> None:
    probe.signals.emit("hello", {"pid": os.getpid()})


@probe.signals.on("echo")
def echo(payload: object) -> None:
    probe.signals.emit("echo", payload)


@probe.signals.on("echo async")
async def echo_async(payload: object) -> None:
    probe.signals.emit("echo", payload)


@probe.signals.on("count")
def count(number: int) -> None:
    for index in range(number):
        probe.signals.emit("number", index)


@probe.signals.on("count slowly")
def count_slowly(number: int) -> None:
    for index in range(number):
        probe.signals.emit("number", index)
        databench.sleep(0.01)


@probe.signals.on("block")
def block() -> None:
    released.wait(30)
    probe.signals.emit("unblocked")


@probe.signals.on("compute")
def compute() -> None:
    while not released.is_set():
        sum(range(10_000))
    probe.signals.emit("computed")


@probe.signals.on("release")
def release() -> None:
    released.set()


@probe.signals.on("raise")
def fail() -> None:
    raise ValueError("on purpose")


@probe.signals.on("send a lock")
def send_lock() -> None:
    probe.signals.emit("never", {"rows": [1, {"lock": threading.Lock()}]})


@probe.signals.on("array")
def array() -> None:
    probe.signals.emit("array", np.arange(6.0).reshape(2, 3))


@probe.signals.on("map")
def spread(numbers: list[int]) -> None:
    probe.signals.emit("mapped", sorted(databench.map(double, numbers)))


@probe.signals.on("map async")
async def spread_async(numbers: list[int]) -> None:
    results = [result async for result in databench.map(double, numbers, ordered=True)]
    probe.signals.emit("mapped", results)


@probe.signals.on("nap")
def nap(seconds: list[float]) -> None:
    for worker, pid in databench.map(napping, seconds, chunk=1):
        probe.signals.emit("napped", {"worker": worker, "pid": pid})
    probe.signals.emit("rested")


@probe.signals.on("map beside others", policy="parallel")
async def spread_beside_others(numbers: list[int]) -> None:
    """Note whose result came when: those who do this tell themselves apart by their thousands."""
    results = []
    job = databench.map(doubling_slowly, numbers, chunk=1)
    probe.signals.emit("handed out")
    async for result in job:
        takers.append(numbers[0] // 1000)
        results.append(result)
    probe.signals.emit("mapped", sorted(results))


@probe.signals.on("wait")
def wait(marks: list[str], gate: str) -> None:
    """Keep as many slots busy as there are marks, until the gate is there."""
    list(databench.map(waiting, marks, [gate] * len(marks), chunk=1))


@probe.signals.on("takers")
def tell_takers() -> None:
    probe.signals.emit("takers", takers)


@probe.signals.on("divide")
def divide(numbers: list[int]) -> None:
    try:
        list(databench.map(dividing, numbers, chunk=1))
    except databench.TaskError as error:
        failure = {"type": error.type_name, "item": error.item, "traceback": error.remote_traceback}
        probe.signals.emit("failure", failure)
