"""State that pages ask for, and what they are told of handlers at work."""

import asyncio
import threading
from typing import Annotated

import pytest
from pydantic import Field

import databench
from databench import announcing
from databench.policies import Policy
from databench.requests import LARGEST
from databench.wire.messages import HELD
from tests.author import Live
from tests.clock import Clock


async def known(live: Live, expected: dict[str, object]) -> None:
    """Wait until the page knows exactly this, acknowledging as a page does."""

    def check() -> bool:
        live.pages.acknowledge(live.session)
        return live.pages.known() == expected

    await live.pages.until(check)


async def test_what_a_page_asks_for_is_taken_over(live: Live) -> None:
    live.send("state:draws", 100)
    assert live.session.state == {"draws": 100}
    await known(live, {"state:draws": 100})
    assert live.pages.named("warn") == []


async def test_a_handler_decides_what_becomes_of_it(pi: databench.Analysis, live: Live) -> None:
    @pi.signals.on("state:draws")
    async def draws(session: databench.Session, value: Annotated[int, Field(ge=1)]) -> None:
        session.state["draws"] = min(value, 1_000)

    live.send("state:draws", 5_000)
    await known(live, {"state:draws": 1_000})
    told = len(live.pages.messages["v"])
    live.send("state:draws", 0)
    [error] = await live.get("error")
    assert "greater than or equal to 1" in str(error)
    live.pages.acknowledge(live.session)
    # The page showed 0 meanwhile, so it is told again what counts.
    await live.pages.until(lambda: len(live.pages.messages["v"]) > told + 1)
    await known(live, {"state:draws": 1_000})


async def test_what_is_shared_is_set_by_a_handler_only(pi: databench.Analysis, live: Live) -> None:
    live.send("shared:total", 7)
    assert await live.warning() == (
        "shared:total",
        "'shared:total' is shared by all sessions: only a handler of that signal can set it for a page",
    )
    assert pi.state == {}

    @pi.signals.on("shared:total")
    def total(value: int) -> None:
        pi.state["total"] = value

    live.send("shared:total", 7)
    await known(live, {"shared:total": 7})


@pytest.mark.parametrize(
    ("signal", "payload", "reason"),
    [
        ("state:", 1, "a key of the state"),
        ("state:big", bytes(LARGEST), "larger than 256 KiB"),
    ],
)
async def test_what_cannot_be_taken_over_is_answered_with_a_warning(
    live: Live, signal: str, payload: object, reason: str
) -> None:
    live.send(signal, payload)
    assert reason in (await live.warning())[1]
    assert live.session.state == {}


async def test_a_value_that_does_not_decode_is_answered_with_a_warning(live: Live) -> None:
    live.handling.arrive("state:a", b"\xc1")
    assert "does not decode" in (await live.warning())[1]


async def test_a_signal_that_is_at_work_for_long_is_told_and_its_end_too(pi: databench.Analysis, live: Live) -> None:
    released = threading.Event()

    @pi.signals.on("run")
    def run() -> None:
        released.wait(10)

    live.send("run")
    live.send("run")
    await known(live, {"handling:run": {"running": 1, "waiting": 1, "accepts": True}})
    released.set()
    await known(live, {})


async def test_what_is_over_quickly_is_not_told(pi: databench.Analysis, live: Live, clock: Clock) -> None:
    begun: list[bool] = []
    all_begun = asyncio.Event()

    @pi.signals.on("quick")
    async def quick() -> None:
        begun.append(True)
        if len(begun) == 10:
            all_begun.set()

    @pi.signals.on("slow")
    async def slow() -> None:
        await asyncio.sleep(3600)

    live.send("slow")
    for _ in range(10):
        live.send("quick")
    await all_begun.wait()
    await clock.advance(announcing.DELAY)
    await known(live, {"handling:slow": {"running": 1, "waiting": 0, "accepts": True}})
    assert not any("handling:quick" in str(message) for message in live.pages.messages["v"])
    live.session.cancel("slow")
    await known(live, {})


@pytest.mark.parametrize(
    ("policy", "signals", "accepts"),
    [
        ("reject", 1, False),
        ("queue", 1 + HELD, False),
        ("queue", HELD, True),
        ("latest", 3, True),
        ("parallel", 2, True),
    ],
)
async def test_it_is_told_whether_one_more_signal_would_be_taken(
    pi: databench.Analysis, live: Live, policy: Policy, signals: int, accepts: bool
) -> None:
    @pi.signals.on("run", policy=policy)
    async def run() -> None:
        await asyncio.sleep(3600)

    for _ in range(signals):
        live.send("run")
    running = signals if policy == "parallel" else 1
    waiting = {"queue": signals - 1, "latest": 1}.get(policy, 0)
    await known(live, {"handling:run": {"running": running, "waiting": waiting, "accepts": accepts}})


async def test_a_request_that_is_refused_is_answered_with_what_counts(pi: databench.Analysis, live: Live) -> None:
    live.session.state["draws"] = 1

    @pi.signals.on("state:draws", policy="reject")
    async def draws(value: int) -> None:
        await asyncio.sleep(3600)

    live.send("state:draws", 2)
    live.pages.acknowledge(live.session)
    version = live.session.state.version
    live.send("state:draws", 3)
    assert live.session.state.version > version
    assert "being handled" in (await live.warning())[1]


async def test_a_disconnect_handler_may_sleep_and_emit_without_harm(pi: databench.Analysis, live: Live) -> None:
    done = threading.Event()

    @pi.signals.on("disconnect")
    def disconnect(session: databench.Session) -> None:
        pi.signals.emit("late")
        session.state["late"] = 1
        databench.sleep(0)
        done.set()

    live.end()
    await live.idle()
    assert done.is_set()
    assert live.pages.named("error") == []
