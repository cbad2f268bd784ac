"""The cases: each drives one server through clients of its protocol and returns its figures by name."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from benchmarks.aims import Aim
from benchmarks.rounds import Figure
from benchmarks.signals import workload
from benchmarks.signals.bench import Bench
from benchmarks.signals.protocols.contract import Client

SMALL, LARGE = 20_000, 200
WARM, TRIPS = 50, 500
VIEWERS, NEWS = 50, 1_000
COMPUTED, APART = 5.0, 0.05
"""Seconds that a handler computes, and between two round trips of another session meanwhile."""
STREAMED, BEFORE, AWAY = 8_000, 2.0, 2.0
"""Signals of a steady stream, seconds of it before the disconnect, seconds of the disconnect."""
PRESSED = 15.0
"""Seconds for which a viewer does not read."""
SESSIONS, SESSIONS_BEFORE = 100, 20
"""Idle sessions measured, and those opened before, which pay for what is loaded once."""


async def _trip(client: Client, number: int, signal: str = "echo") -> float:
    """Return the seconds of a round trip."""
    back: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def take(name: str, payload: Any) -> None:
        if name == "echo" and payload == number:
            back.set_result(time.perf_counter())

    client.take = take
    begun = time.perf_counter()
    client.emit(signal, number)
    return await client.socket.until(back) - begun


async def trips(bench: Bench, signal: str = "echo") -> dict[str, float]:
    """One signal to a handler and back, then the next."""
    client = await bench.viewer()
    for number in range(WARM):
        await _trip(client, number, signal)
    with bench.computing(TRIPS):
        times = sorted([await _trip(client, number, signal) for number in range(TRIPS)])
    return {"p50": times[TRIPS // 2] * 1e3, "p99": times[TRIPS * 99 // 100] * 1e3}


async def _ask(client: Client, ask: str, signal: str, number: int, right: Callable[[Any, int], bool]) -> float:
    """Ask for so many signals and return the seconds until the last one came; all are checked."""
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
    client.emit(ask, number)
    return await client.socket.until(done) - begun


async def _rate(bench: Bench, ask: str, signal: str, number: int, right: Callable[[Any, int], bool]) -> float:
    """Return how many signals a second came of those that were asked for."""
    client = await bench.viewer()
    for _ in range(WARM):
        await _trip(client, 0)
    await _ask(client, ask, signal, number // 10, right)
    with bench.computing(number):
        seconds = await _ask(client, ask, signal, number, right)
    return number / seconds


async def small(bench: Bench) -> dict[str, float]:
    """Small signals as fast as possible, all received and in order."""
    return {"rate": await _rate(bench, "flood", "status", SMALL, _in_order)}


def _in_order(payload: Any, index: int) -> bool:
    return bool(payload["draws"] == index)


async def large(bench: Bench) -> dict[str, float]:
    """Lists of 12,500 floats, decoded by the client."""
    rate = await _rate(bench, "large", "large", LARGE, lambda payload, index: len(payload) == len(workload.FLOATS))
    return {"rate": rate * 8 * len(workload.FLOATS) / 1e6}


async def binary(bench: Bench) -> dict[str, float]:
    """100 kB of bytes."""
    rate = await _rate(bench, "binary", "binary", LARGE, lambda payload, index: len(payload) == len(workload.BINARY))
    return {"rate": rate * len(workload.BINARY) / 1e6}


async def fanout(bench: Bench) -> dict[str, float]:
    """Small signals to all viewers, received by each of them in order."""
    clients = [await bench.viewer() for _ in range(VIEWERS)]
    # They stand for browsers with a machine each: what all of them get is decoded once, then counted and checked.
    decode = lru_cache(maxsize=256)(clients[0].decode)
    for client in clients:
        client.decode = decode
        for _ in range(2):
            await _trip(client, 0)
    await _publish(clients, NEWS // 10)
    with bench.computing(VIEWERS * NEWS):
        seconds = await _publish(clients, NEWS)
    return {"rate": VIEWERS * NEWS / seconds}


async def _publish(clients: list[Client], number: int) -> float:
    """Ask for so many signals to all and return the seconds until all had the last one."""
    done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    came = [0] * len(clients)
    ready = 0

    def take(place: int, name: str, payload: Any) -> None:
        nonlocal ready
        if name != "news":
            return
        if payload["draws"] != came[place]:
            raise ValueError(f"signal {came[place]} of a viewer is not as it was emitted")
        came[place] += 1
        if came[place] == number:
            ready += 1
            if ready == len(clients):
                done.set_result(time.perf_counter())

    for place, client in enumerate(clients):
        client.take = partial(take, place)
    begun = time.perf_counter()
    clients[0].emit("publish", number)
    return await clients[0].socket.until(done) - begun


async def computing(bench: Bench) -> dict[str, float]:
    """Round trips of another session, begun at fixed times, while one handler computes."""
    busy, client = await bench.viewer(), await bench.viewer()
    for number in range(WARM):
        await _trip(busy, number)
        await _trip(client, number)
    number = int(COMPUTED / APART) - 2
    idle, _ = await _apart(client, number)
    busy.emit("compute", COMPUTED)
    median, most = await _apart(client, number)
    return {"median": median, "most": most, "idle": idle}


async def _apart(client: Client, number: int) -> tuple[float, float]:
    """Return the median and the longest of some round trips, begun at fixed times, in milliseconds."""
    begun: list[float] = []
    times: list[float] = []
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(name: str, payload: Any) -> None:
        times.append(time.perf_counter() - begun[payload])
        if len(times) == number:
            done.set_result(None)

    client.take = take
    for index in range(number):
        await asyncio.sleep(APART)
        begun.append(time.perf_counter())
        client.emit("echo", index)
    await client.socket.until(done)
    times.sort()
    return times[number // 2] * 1e3, times[-1] * 1e3


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
    # Plain handlers, and signals at full speed, load what they need once.
    await _ask(client, "flood", "status", WARM, _in_order)
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
    for client in clients:
        await _trip(client, 0)
    await asyncio.sleep(1)
    before = bench.memory()
    clients += [await bench.viewer() for _ in range(SESSIONS)]
    await asyncio.sleep(1)
    return {"session": (bench.memory() - before) / SESSIONS * 1e3}


@dataclass(frozen=True)
class Case:
    """A case and its figures, by name; long ones are run once for three rounds of the others."""

    measure: Callable[[Bench], Awaitable[dict[str, float]]]
    figures: dict[str, Figure]
    long: bool = False


def _one_way(title: str, form: str, *aims: Aim) -> dict[str, Figure]:
    return {"rate": Figure(title, form, aims)}


def _round_trip(title: str, *aims: Aim) -> dict[str, Figure]:
    return {
        "p50": Figure(f"{title}, p50", "{:.2f} ms", (Aim(1.2, least=False, beside="chain"), *aims)),
        "p99": Figure(f"{title}, p99", "{:.2f} ms"),
    }


CASES = {
    "trips": Case(trips, _round_trip("round trip", Aim(1, least=False, beside="flask_socketio"))),
    "threads": Case(partial(trips, signal="echo_plain"), _round_trip("round trip through a handler in a thread")),
    "small": Case(
        small,
        _one_way(
            f"{SMALL:,} small signals to one viewer, in order",
            "{:,.0f}/s",
            Aim(300_000),
            Aim(25, beside="python_socketio"),
            Aim(3.5, beside="raw"),
        ),
    ),
    "large": Case(large, _one_way(f"{LARGE} lists of 12,500 floats (100 kB)", "{:,.1f} MB/s", Aim(100))),
    "binary": Case(binary, _one_way(f"{LARGE} × 100 kB of bytes", "{:,.0f} MB/s", Aim(100))),
    "fanout": Case(
        fanout,
        _one_way(f"{NEWS:,} small signals to {VIEWERS} viewers, in order", "{:,.0f}/s", Aim(2, beside="raw")),
    ),
    "computing": Case(
        computing,
        {
            "idle": Figure("another session's round trip while nothing computes, median", "{:.2f} ms"),
            "median": Figure(
                f"the same while one handler computes for {COMPUTED:g} s, median",
                "{:,.1f} ms",
                (Aim(2, least=False, figure="idle"),),
            ),
            "most": Figure("the same, longest", "{:,.0f} ms"),
        },
        long=True,
    ),
    "disconnect": Case(
        disconnect,
        {"lost": Figure(f"lost by {AWAY:g} s offline, of {STREAMED:,}", "{:,.0f}", (Aim(0, least=False),))},
        long=True,
    ),
    "pressure": Case(
        pressure,
        {
            "growth": Figure(
                f"memory for a viewer that stops reading for {PRESSED:g} s", "{:,.1f} MB", (Aim(30, least=False),)
            )
        },
        long=True,
    ),
    "idle": Case(
        idle,
        {"session": Figure(f"memory per idle session, of {SESSIONS}", "{:,.0f} kB", (Aim(50, least=False),))},
        long=True,
    ),
}
