"""The same handlers in several analyses: one for each runner, one that all runners offer, two with little grace."""

import asyncio
import gc
import os
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import databench
from databench.policies import Policy

RUNNER = os.environ.get("DATABENCH_NAME", "nobody")
ANALYSES = {
    # A page of this one is always served by this runner, whatever others there are.
    f"at-{RUNNER}": databench.Analysis(f"at-{RUNNER}", __name__),
    "shared": databench.Analysis("shared", __name__),
    "brief": databench.Analysis("brief", __name__, grace=0.2),
    "short": databench.Analysis("short", __name__, grace=5),
}
NEWS_EVERY = 10
LANES = 7

kept: dict[str, list[int]] = defaultdict(list)
"""By the token of a session: what `keep` was called with."""


def every(signal: str, policy: Policy = "queue") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a handler in all of these analyses."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for analysis in ANALYSES.values():
            analysis.signals.on(signal, policy)(function)
        return function

    return register


@every("connect")
async def greet(session: databench.Session) -> None:
    session.emit("hello", {"runner": RUNNER, "pid": os.getpid(), "wall": time.time()})


@every("disconnect")
def leave(session: databench.Session) -> None:
    ANALYSES[session.analysis].broadcast("left", session.token)


@every("echo")
async def echo(session: databench.Session, payload: Any) -> None:
    await session.emit("echo", payload)


@every("stream")
def stream(session: databench.Session, count: int | None = None) -> None:
    """Number signals, state and broadcasts, `count` of them or until a page sets `enough`."""
    analysis = ANALYSES[session.analysis]
    number = 0
    while number != count and not session.state.get("enough"):
        session.emit("number", number)
        session.state["at"] = number
        session.state[f"lane {number % LANES}"] = number
        session.state.pop(f"lane {number * number % LANES}", None)
        if number % NEWS_EVERY == 0:
            analysis.state["at"] = number
            analysis.broadcast("news", [session.token, number // NEWS_EVERY])
        number += 1
        if number % 5 == 0:
            databench.sleep(0.002)
    session.emit("end", number)


@every("keep")
async def keep(session: databench.Session, number: int | None = None, _: bytes = b"") -> None:
    """Note a number, whatever else came with it; without one tell all that the runner knows of this session.

    One handler for both, so that they are handled in the order in which they were sent.
    """
    if number is not None:
        kept[session.token].append(number)
        return
    shared = dict(ANALYSES[session.analysis].state)
    await session.emit("known", {"state": dict(session.state), "shared": shared, "kept": kept[session.token]})


@every("work")
async def work(session: databench.Session, number: int) -> None:
    """Take a while for each, so that others have to wait."""
    await asyncio.sleep(0.002)
    await session.emit("worked", number)


@every("work beside")
def work_beside(session: databench.Session, number: int) -> None:
    """Take a while in a thread."""
    time.sleep(0.002)
    session.emit("worked", number)


@every("census")
async def census(session: databench.Session) -> None:
    """Tell how many sessions there are in memory when Python's collector has come by."""
    gc.collect()
    await session.emit("census", sum(isinstance(each, databench.Session) for each in gc.get_objects()))


@every("burst")
def burst(session: databench.Session, count: int, size: int) -> None:
    """Emit as fast as possible."""
    for number in range(count):
        session.emit("number", [number, bytes(size)])
    session.emit("end", count)


@every("flood")
def flood(session: databench.Session, seconds: float, size: int) -> None:
    """Emit as fast as possible for so long, and tell everybody how much that was."""
    until, number = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        session.emit("number", [number, bytes(size)])
        number += 1
    session.emit("end", number)
    ANALYSES[session.analysis].broadcast("flooded", number)


@every("tell all")
def tell_all(session: databench.Session, payload: Any) -> None:
    ANALYSES[session.analysis].broadcast("told", payload)


@every("run")
def run(session: databench.Session) -> None:
    """Run until the session is over."""
    session.emit("running")
    try:
        while True:
            databench.sleep(0.01)
    finally:
        ANALYSES[session.analysis].broadcast("stopped", [session.token, "run"])


@every("run async")
async def run_async(session: databench.Session) -> None:
    """Run until the session is over."""
    await session.emit("running")
    try:
        await asyncio.Event().wait()
    finally:
        ANALYSES[session.analysis].broadcast("stopped", [session.token, "run async"])


@databench.task
def marking(mark: str) -> None:
    """Make a file, and never come to an end."""
    Path(mark).touch()
    time.sleep(3600)


@databench.task
def double(number: int) -> int:
    """Do a little work."""
    return 2 * number


@every("occupy")
def occupy(session: databench.Session, marks: list[str]) -> None:
    """Keep as many slots busy as there are marks."""
    try:
        list(databench.map(marking, marks, chunk=1))
    finally:
        ANALYSES[session.analysis].broadcast("stopped", [session.token, "occupy"])


@every("map")
def spread(session: databench.Session, numbers: list[int]) -> None:
    session.emit("mapped", sorted(databench.map(double, numbers, chunk=1)))
