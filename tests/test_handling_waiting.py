"""Handlers that wait: in the queue of their signal, for room in their session, for a thread of the runner."""

import asyncio
import threading

import pytest

import databench
from databench import handling
from databench.threadpool import Threads
from databench.wire.messages import HELD, HELD_BYTES
from tests.author import Live


async def test_all_that_a_page_held_back_waits_its_turn_and_beyond_that_a_signal_is_refused(
    pi: databench.Analysis, live: Live
) -> None:
    go_on = asyncio.Event()

    @pi.signals.on("run")
    async def run(number: int) -> None:
        await go_on.wait()
        await pi.signals.emit("done", number)

    for number in range(1 + HELD + 1):
        live.send("run", number)
    assert await live.warning() == ("run", f"busy: {HELD} signals 'run' are waiting to be handled")
    go_on.set()
    assert await live.get("done", 1 + HELD) == list(range(1 + HELD))


async def test_signals_that_wait_are_bounded_in_bytes(pi: databench.Analysis, live: Live) -> None:
    go_on = asyncio.Event()

    @pi.signals.on("run")
    async def run(data: bytes) -> None:
        await go_on.wait()
        await pi.signals.emit("done", len(data))

    large = HELD_BYTES // 4
    for _ in range(5):
        live.send("run", bytes(large))
    assert await live.warning() == ("run", "busy: 3 signals 'run' are waiting to be handled")
    go_on.set()
    assert await live.get("done", 4) == [large] * 4


async def test_beyond_the_bound_of_handlers_calls_wait_and_each_handler_has_its_turn(
    pi: databench.Analysis, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "HANDLERS", 1)
    steps = threading.Semaphore(0)

    @pi.signals.on("async")
    async def coroutine() -> None:
        await asyncio.Event().wait()

    @pi.signals.on("one")
    @pi.signals.on("two")
    @pi.signals.on("three", policy="reject")
    def run(name: str) -> None:
        pi.signals.emit("begun", name)
        assert steps.acquire(timeout=10)

    live.send("async")
    for name in ("one", "one", "one", "two", "two", "three"):
        live.send(name, name)
    assert await live.warning() == ("three", "busy: 1 handlers of this session are running")
    for count, name in enumerate(["one", "two", "one", "two", "one"], 1):
        assert (await live.get("begun", count))[-1] == name
        steps.release()
    assert len(live.pages.named("warn")) == 1


async def test_what_waits_for_room_can_be_cancelled(
    pi: databench.Analysis, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "HANDLERS", 1)

    @pi.signals.on("one")
    @pi.signals.on("two")
    @pi.signals.on("three")
    async def run(name: str) -> None:
        await pi.signals.emit("begun", name)
        await asyncio.Event().wait()

    for name in ("one", "two", "three"):
        live.send(name, name)
    await live.get("begun")
    live.session.cancel("two")
    live.session.cancel("one")
    assert await live.get("begun", 2) == ["one", "three"]


@pytest.mark.parametrize("form", ["plain", "async"])
async def test_parallel_runs_as_many_at_once_as_there_is_room_for(
    pi: databench.Analysis, live: Live, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handling, "HANDLERS", 3)
    together, together_async = threading.Barrier(3, timeout=10), asyncio.Barrier(3)

    def plain(number: int) -> None:
        together.wait()
        pi.signals.emit("done", number)

    async def coroutine(number: int) -> None:
        await together_async.wait()
        await pi.signals.emit("done", number)

    pi.signals.on("run", policy="parallel")(plain if form == "plain" else coroutine)
    for number in range(9):
        live.send("run", number)
    await live.pages.until(lambda: len(live.pages.named("done")) == 9)
    done = live.pages.named("done")
    assert [sorted(map(str, done[place : place + 3])) for place in (0, 3, 6)] == [list("012"), list("345"), list("678")]
    assert live.pages.named("warn") == []


async def test_plain_handlers_of_all_sessions_share_the_threads_of_the_runner(
    pi: databench.Analysis, live: Live
) -> None:
    other = Live(pi)
    go_on = threading.Event()
    live.handling.threads = other.handling.threads = Threads(bound=1)

    @pi.signals.on("run")
    def run() -> None:
        go_on.wait(10)
        pi.signals.emit("done")

    @pi.signals.on("async")
    async def coroutine() -> None:
        await pi.signals.emit("async done")

    @pi.signals.on("rejects", policy="reject")
    def rejects() -> None: ...

    for session in (live, live, other, other):
        session.send("run")
    other.send("rejects")
    other.send("async")
    assert await other.warning() == ("rejects", "busy: too many handlers of other sessions are running")
    await other.get("async done")
    go_on.set()
    await live.get("done", 2)
    await other.get("done", 2)
    other.end()


async def test_a_session_that_ended_does_not_keep_others_from_the_threads_it_waited_for(
    pi: databench.Analysis, live: Live
) -> None:
    ended, other = Live(pi), Live(pi)
    go_on = threading.Event()
    ended.handling.threads = other.handling.threads = live.handling.threads = Threads(bound=1)

    @pi.signals.on("run")
    def run() -> None:
        go_on.wait(10)
        pi.signals.emit("done")

    for session in (live, ended, other):
        session.send("run")
    ended.end()
    go_on.set()
    await other.get("done")
    assert ended.pages.named("done") == []
    other.end()
