"""The cases: each drives one server through clients of its protocol and returns its figures by name."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.signals import workload
from benchmarks.signals.protocols.contract import Client

SMALL, LARGE = 20_000, 200
WARM, TRIPS = 50, 500
COMPUTED, APART = 5.0, 0.05
"""Seconds that a handler computes, and between two round trips of another session meanwhile."""
STREAMED, BEFORE, AWAY = 8_000, 2.0, 2.0
"""Signals of a steady stream, seconds of it before the disconnect, seconds of the disconnect."""
PRESSED = 15.0
"""Seconds for which a viewer does not read."""
SESSIONS, SESSIONS_BEFORE = 100, 20
"""Idle sessions measured, and those opened before, which pay for what is loaded once."""


class Bench:
    """What a case gets: the server's processes, and how to become a viewer."""

    def __init__(self, client: type[Client], port: int, pid: int) -> None:
        self._client = client
        self._port = port
        self._pid = pid
        self._opened = 0

    async def viewer(self) -> Client:
        """Return one more viewer, connected."""
        self._opened += 1
        client = self._client(self._port, f"viewer-{self._opened}-{time.monotonic_ns()}")
        await client.open()
        return client

    def memory(self) -> float:
        """Return the megabytes that the server's processes share with no other."""
        top = psutil.Process(self._pid)
        return float(sum(each.memory_full_info().uss for each in [top, *top.children(recursive=True)])) / 1e6


async def _trip(client: Client, number: int) -> float:
    """Return the seconds of a round trip."""
    back: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def take(name: str, payload: Any) -> None:
        if name == "echo" and payload == number:
            back.set_result(time.perf_counter())

    client.take = take
    begun = time.perf_counter()
    client.emit("echo", number)
    return await client.socket.until(back) - begun


async def trips(bench: Bench) -> dict[str, float]:
    """One signal to a handler and back, then the next."""
    client = await bench.viewer()
    times = sorted([await _trip(client, number) for number in range(WARM + TRIPS)][WARM:])
    return {"p50": times[TRIPS // 2] * 1e3, "p99": times[TRIPS * 99 // 100] * 1e3}


async def _rate(bench: Bench, signal: str, number: int, right: Callable[[Any, int], bool]) -> float:
    """Return how many signals a second came of those that were asked for; all are checked."""
    client = await bench.viewer()
    for _ in range(WARM):
        await _trip(client, 0)
    done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    came = 0

    def take(name: str, payload: Any) -> None:
        nonlocal came
        if name != signal:
            return
        if not right(payload, came):
            raise ValueError(f"signal {came} is not as it was emitted")
        came += 1
        if came == number:
            done.set_result(time.perf_counter())

    client.take = take
    begun = time.perf_counter()
    client.emit(signal if signal != "status" else "flood", number)
    return number / (await client.socket.until(done) - begun)


async def small(bench: Bench) -> dict[str, float]:
    """Small signals as fast as possible, all received and in order."""
    return {"rate": await _rate(bench, "status", SMALL, lambda payload, index: bool(payload["draws"] == index))}


async def large(bench: Bench) -> dict[str, float]:
    """Lists of 12,500 floats, decoded by the client."""
    rate = await _rate(bench, "large", LARGE, lambda payload, index: len(payload) == len(workload.FLOATS))
    return {"rate": rate * 8 * len(workload.FLOATS) / 1e6}


async def binary(bench: Bench) -> dict[str, float]:
    """100 kB of bytes."""
    rate = await _rate(bench, "binary", LARGE, lambda payload, index: len(payload) == len(workload.BINARY))
    return {"rate": rate * len(workload.BINARY) / 1e6}


async def computing(bench: Bench) -> dict[str, float]:
    """Round trips of another session, begun at fixed times, while one handler computes."""
    busy, client = await bench.viewer(), await bench.viewer()
    idle = sorted([await _trip(client, -number) for number in range(1, WARM)])[WARM // 2]
    number = int(COMPUTED / APART) - 2
    begun: list[float] = []
    times: list[float] = []
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(name: str, payload: Any) -> None:
        times.append(time.perf_counter() - begun[payload])
        if len(times) == number:
            done.set_result(None)

    client.take = take
    busy.emit("compute", COMPUTED)
    for index in range(number):
        await asyncio.sleep(APART)
        begun.append(time.perf_counter())
        client.emit("echo", index)
    await client.socket.until(done)
    times.sort()
    return {"median": times[number // 2] * 1e3, "most": times[-1] * 1e3, "idle": idle * 1e3}


async def disconnect(bench: Bench) -> dict[str, float]:
    """What a viewer never gets of a steady stream when its connection is cut and it comes back."""
    client = await bench.viewer()
    came: set[int] = set()
    twice = 0
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(name: str, payload: Any) -> None:
        nonlocal twice
        if name != "tick":
            return
        twice += payload in came
        came.add(payload)
        if payload == STREAMED - 1:
            done.set_result(None)

    client.take = take
    client.emit("stream", STREAMED)
    await asyncio.sleep(BEFORE)
    client.drop()
    await asyncio.sleep(AWAY)
    await client.open()
    await client.socket.until(done)
    if twice:
        raise ValueError(f"{twice} signals came twice")
    return {"lost": STREAMED - len(came)}


async def pressure(bench: Bench) -> dict[str, float]:
    """The most memory that the server takes on for a viewer that does not read."""
    client = await bench.viewer()
    for _ in range(WARM):
        await _trip(client, 0)
    before = most = bench.memory()
    client.stop_reading()
    client.emit("press", PRESSED)
    deadline = time.perf_counter() + PRESSED
    while time.perf_counter() < deadline:
        await asyncio.sleep(0.25)
        most = max(most, bench.memory())
    client.drop()
    return {"growth": most - before}


async def idle(bench: Bench) -> dict[str, float]:
    """Memory of a session that does nothing, in all processes together."""
    clients = [await bench.viewer() for _ in range(SESSIONS_BEFORE)]
    await asyncio.sleep(1)
    before = bench.memory()
    clients += [await bench.viewer() for _ in range(SESSIONS)]
    await asyncio.sleep(1)
    return {"session": (bench.memory() - before) / SESSIONS * 1e3}


@dataclass(frozen=True)
class Case:
    """A case, and how its figures are written; long ones are run once for three rounds of the others."""

    measure: Callable[[Bench], Awaitable[dict[str, float]]]
    figures: dict[str, tuple[str, str]]
    """By the name of a figure: what it is, and its format."""
    long: bool = False


CASES = {
    "trips": Case(trips, {"p50": ("round trip, p50", "{:.2f} ms"), "p99": ("round trip, p99", "{:.2f} ms")}),
    "small": Case(small, {"rate": (f"{SMALL:,} small signals to one viewer, in order", "{:,.0f}/s")}),
    "large": Case(large, {"rate": (f"{LARGE} lists of 12,500 floats (100 kB)", "{:,.1f} MB/s")}),
    "binary": Case(binary, {"rate": (f"{LARGE} × 100 kB of bytes", "{:,.0f} MB/s")}),
    "computing": Case(
        computing,
        {
            "idle": ("another session's round trip while nothing computes, median", "{:.2f} ms"),
            "median": (f"the same while one handler computes for {COMPUTED:g} s, median", "{:,.1f} ms"),
            "most": ("the same, longest", "{:,.0f} ms"),
        },
        long=True,
    ),
    "disconnect": Case(disconnect, {"lost": (f"lost by {AWAY:g} s offline, of {STREAMED:,}", "{:,.0f}")}, long=True),
    "pressure": Case(
        pressure, {"growth": (f"memory for a viewer that stops reading for {PRESSED:g} s", "{:,.1f} MB")}, long=True
    ),
    "idle": Case(idle, {"session": (f"memory per idle session, of {SESSIONS}", "{:,.0f} kB")}, long=True),
}
