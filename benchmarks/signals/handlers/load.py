"""Databench's side: the same handlers as the peers have."""

import time

import databench
from benchmarks.signals import workload

load = databench.Analysis("load", __name__)
load.show_in_index = False


@load.signals.on("echo")
async def echo(payload: object) -> None:
    load.signals.emit("echo", payload)


@load.signals.on("echo_plain")
def echo_plain(payload: object) -> None:
    load.signals.emit("echo", payload)


@load.signals.on("flood")
def flood(number: int) -> None:
    for index in range(number):
        load.signals.emit("status", workload.status(index))


@load.signals.on("large")
def large(number: int) -> None:
    for _ in range(number):
        load.signals.emit("large", workload.FLOATS)


@load.signals.on("binary")
def binary(number: int) -> None:
    for _ in range(number):
        load.signals.emit("binary", workload.BINARY)


@load.signals.on("publish")
def publish(number: int) -> None:
    for index in range(number):
        load.broadcast("news", workload.status(index))


@load.signals.on("compute")
def compute(seconds: float) -> None:
    workload.compute(seconds)


@load.signals.on("stream")
def stream(number: int) -> None:
    begun = time.perf_counter()
    for index in range(number):
        if index % workload.STRIDE == 0:
            databench.sleep(workload.until(begun, index))
        load.signals.emit("tick", index)


@load.signals.on("press")
def press(seconds: float) -> None:
    deadline = time.perf_counter() + seconds
    for _ in range(workload.MOST_PRESSED):
        load.signals.emit("pressed", workload.PRESSED)
        if time.perf_counter() > deadline:
            break
