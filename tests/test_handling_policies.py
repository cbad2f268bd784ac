"""Handlers that are called again while they run, cancelled, or called with what does not fit."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import pytest
from pydantic import Field

import databench
from databench.signals import current_session
from databench.wire.log import BOUNDS
from tests.author import Live, living

BLOCKED = threading.Event()

WINDOW = BOUNDS.window


@databench.task
def blocked(number: int) -> int:
    BLOCKED.wait(10)
    return number


@pytest.fixture
async def live(pi: databench.Analysis) -> AsyncIterator[Live]:
    BLOCKED.clear()
    async with living(pi) as live:
        yield live
        BLOCKED.set()


def sleeps(pi: databench.Analysis) -> None:
    databench.sleep(3600)


def emits(pi: databench.Analysis) -> None:
    while True:
        with contextlib.suppress(Exception):
            pi.signals.emit("n")


def maps(pi: databench.Analysis) -> None:
    for _ in databench.map(blocked, [1, 2]):
        pass


def joins_a_thread_that_sleeps(pi: databench.Analysis) -> None:
    databench.thread(databench.sleep, 3600).join()


def joins_a_thread_that_maps(pi: databench.Analysis) -> None:
    databench.thread(maps, pi).join()
    databench.sleep(3600)


PLAIN = [sleeps, emits, maps, joins_a_thread_that_sleeps, joins_a_thread_that_maps]


@pytest.mark.parametrize("wait", PLAIN)
async def test_restart_stops_a_plain_handler_and_then_runs_the_newest(
    pi: databench.Analysis, live: Live, wait: Callable[[databench.Analysis], None]
) -> None:
    alone = threading.Lock()

    @pi.signals.on("run", policy="restart")
    def run(number: int) -> None:
        with contextlib.ExitStack() as stack:
            pi.signals.emit("begun", [number, alone.acquire(blocking=False)])
            stack.callback(alone.release)
            if number < 3:
                wait(pi)

    live.send("run", 1)
    await live.get("begun")
    live.send("run", 2)
    live.send("run", 3)
    await live.pages.until(lambda: [3, True] in live.pages.named("begun") or live.pages.last() >= WINDOW)
    live.pages.acknowledge(live.session)
    assert await live.get("begun", 2) == [[1, True], [3, True]]
    assert live.pages.named("error") == []


async def test_restart_cancels_an_async_handler_which_may_say_its_last_word(pi: databench.Analysis, live: Live) -> None:
    @pi.signals.on("run", policy="restart")
    async def run(number: int) -> None:
        try:
            await pi.signals.emit("begun", number)
            if number == 1:
                await asyncio.Event().wait()
        finally:
            await pi.signals.emit("ended", number)

    live.send("run", 1)
    await live.get("begun")
    live.send("run", 2)
    assert await live.get("ended", 2) == [1, 2]
    assert live.pages.named("error") == []


async def test_an_async_handler_that_is_cancelled_before_its_first_step_makes_way(
    pi: databench.Analysis, live: Live
) -> None:
    @pi.signals.on("run", policy="restart")
    async def run(number: int) -> None:
        await pi.signals.emit("begun", number)

    for number in range(5):
        live.send("run", number)
    assert await live.get("begun") == [4]


async def test_a_job_of_an_async_handler_ends_with_it(pi: databench.Analysis, live: Live) -> None:
    @pi.signals.on("run", policy="restart")
    async def run(number: int) -> None:
        await pi.signals.emit("begun", number)
        if number == 1:
            async for _ in databench.map(blocked, [1, 2]):
                pass

    live.send("run", 1)
    await live.get("begun")
    live.send("run", 2)
    assert await live.get("begun", 2) == [1, 2]


async def test_latest_keeps_the_newest_of_those_that_wait(pi: databench.Analysis, live: Live) -> None:
    go_on = threading.Event()

    @pi.signals.on("run", policy="latest")
    def run(number: int) -> None:
        go_on.wait(10)
        pi.signals.emit("done", number)

    for number in range(5):
        live.send("run", number)
    go_on.set()
    assert await live.get("done", 2) == [0, 4]
    assert live.pages.named("warn") == []


async def test_reject_answers_busy(pi: databench.Analysis, live: Live) -> None:
    go_on = asyncio.Event()

    @pi.signals.on("run", policy="reject")
    async def run(number: int) -> None:
        await go_on.wait()
        await pi.signals.emit("done", number)

    live.send("run", 1)
    live.send("run", 2)
    assert await live.warning() == ("run", "busy: the signal 'run' is being handled")
    go_on.set()
    assert await live.get("done") == [1]


def computes(pi: databench.Analysis) -> None:
    session = current_session.get()
    assert isinstance(session, databench.Session)
    while True:
        session.check()


@pytest.mark.parametrize("wait", [sleeps, maps, computes])
@pytest.mark.parametrize("by", ["the page", "the author", "a thread"])
async def test_cancel_stops_what_runs_and_forgets_what_waits(
    pi: databench.Analysis, live: Live, by: str, wait: Callable[[databench.Analysis], None]
) -> None:
    @pi.signals.on("run")
    def run(number: int) -> None:
        try:
            pi.signals.emit("begun", number)
            if number < 3:
                wait(pi)
        finally:
            ended.set()

    @pi.signals.on("stop")
    async def stop(session: databench.Session) -> None:
        session.cancel("run")

    ended = threading.Event()
    live.send("run", 1)
    live.send("run", 2)
    await live.get("begun")
    if by == "the page":
        live.send("cancel", "run")
    elif by == "the author":
        live.send("stop")
    else:
        await asyncio.to_thread(live.session.cancel, "run")
    await asyncio.to_thread(ended.wait)
    live.send("run", 3)
    assert await live.get("begun", 2) == [1, 3]
    assert live.pages.named("error") == []


async def test_cancel_wakes_an_emit_that_waits_for_the_page(pi: databench.Analysis, live: Live) -> None:
    stopped = threading.Event()

    @pi.signals.on("run")
    def run() -> None:
        try:
            emits(pi)
        finally:
            stopped.set()

    live.send("run")
    await live.get("n", WINDOW)
    live.session.cancel("run")
    await asyncio.to_thread(stopped.wait)


async def test_a_handler_may_cancel_itself(pi: databench.Analysis, live: Live) -> None:
    @pi.signals.on("run")
    def run(session: databench.Session, number: int) -> None:
        session.emit("begun", number)
        if number == 1:
            session.cancel("run")
            databench.sleep(3600)

    live.send("run", 1)
    await live.get("begun")
    await live.idle()
    live.send("run", 2)
    assert await live.get("begun", 2) == [1, 2]


async def test_cancel_of_one_signal_or_session_leaves_the_others(pi: databench.Analysis, live: Live) -> None:
    other = Live(pi)

    @pi.signals.on("one")
    @pi.signals.on("two")
    async def run(name: str) -> None:
        await pi.signals.emit("begun")
        try:
            await go_on.wait()
        finally:
            await pi.signals.emit("ended", [name, go_on.is_set()])

    go_on = asyncio.Event()
    live.send("one", "a")
    live.send("two", "b")
    other.send("one", "c")
    await live.get("begun", 2)
    await other.get("begun")
    live.send("cancel", "one")
    assert await live.get("ended") == [["a", False]]
    go_on.set()
    assert await live.get("ended", 2) == [["a", False], ["b", True]]
    assert await other.get("ended") == [["c", True]]
    other.end()


async def test_a_handler_of_the_author_replaces_the_built_in_cancel(pi: databench.Analysis, live: Live) -> None:
    @pi.signals.on("cancel")
    async def cancel(what: str) -> None:
        await pi.signals.emit("asked", what)

    live.send("cancel", "run")
    assert await live.get("asked") == ["run"]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("rum", "nobody handles the signal 'rum'; 'handled' handles: run"),
        (None, "cancel takes the name of a signal"),
        ("r" * 5_000, "cancel takes the name of a signal"),
    ],
)
async def test_a_cancel_that_names_no_signal_is_answered(
    pi: databench.Analysis, live: Live, payload: object, message: str
) -> None:
    pi.signals.on("run")(print)
    live.send("cancel", payload)
    assert await live.warning() == ("cancel", message)


async def test_the_end_stops_a_handler_that_was_cancelled_and_does_not_hurry(
    pi: databench.Analysis, live: Live
) -> None:
    @pi.signals.on("run")
    async def run() -> None:
        try:
            await pi.signals.emit("begun")
            await asyncio.Event().wait()
        finally:
            await pi.signals.emit("cleaning")
            await asyncio.Event().wait()

    live.send("run")
    await live.get("begun")
    live.session.cancel("run")
    await live.get("cleaning")
    live.end()
    await live.handling.finished()


@pytest.mark.parametrize("form", ["plain", "async"])
async def test_what_does_not_validate_is_an_error_signal_and_the_handler_does_not_run(
    pi: databench.Analysis, live: Live, form: str
) -> None:
    async def coroutine(draws: Annotated[int, Field(ge=1)], seed: int = 0) -> None:
        await pi.signals.emit("ran", draws)

    def plain(draws: Annotated[int, Field(ge=1)], seed: int = 0) -> None:
        pi.signals.emit("ran", draws)

    live.handling.development = True
    pi.signals.on("run")(plain if form == "plain" else coroutine)
    live.send("run", {"draws": 0, "seed": 1.5})
    live.send("run", {"draws": 2})
    assert await live.get("ran") == [2]
    [error] = live.pages.named("error")
    assert isinstance(error, dict)
    assert error.pop("message").startswith("draws: Input should be greater than or equal to 1, not 0; seed: Input")
    assert error == {"signal": "run", "type": "ValidationError", "traceback": None}


async def test_no_thread_to_be_had_is_an_error_of_that_handler_only(
    pi: databench.Analysis, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    @pi.signals.on("run")
    def run() -> None:
        pi.signals.emit("ran")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        live.send("run")
    [error] = await live.get("error")
    assert "can't start new thread" in str(error)
    live.send("run")
    await live.get("ran")
