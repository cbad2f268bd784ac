"""Handlers at work: plain ones in threads, async ones as tasks, each in its turn and with its session."""

import asyncio
import contextlib
import contextvars
import gc
import threading
import weakref

import pytest

import databench
from databench.handling import NULL
from databench.jobs import JobScope, current_scope
from databench.wire.log import BOUNDS, RESERVED
from tests.author import Live

WINDOW = BOUNDS.window
KEPT = BOUNDS.safe


async def test_a_plain_handler_runs_in_a_thread_and_an_async_one_on_the_loop(
    pi: databench.Analysis, live: Live
) -> None:
    here = threading.get_ident()

    @pi.signals.on("run")
    def plain(payload: object) -> None:
        pi.signals.emit("plain", [payload, threading.get_ident() == here])

    @pi.signals.on("run")
    async def coroutine(payload: object) -> None:
        await pi.signals.emit("async", [payload, threading.get_ident() == here])

    live.send("run", 7)
    assert await live.get("plain") == [[7, False]]
    assert await live.get("async") == [[7, True]]


async def test_the_smallest_form_emits_from_a_plain_loop(pi: databench.Analysis, live: Live) -> None:
    @pi.signals.on("connect")
    def onconnect() -> None:
        for number in range(100):
            pi.signals.emit("status", {"n": number})

    live.send("connect")
    assert await live.get("status", 100) == [{"n": number} for number in range(100)]


async def test_a_handler_gets_the_session(pi: databench.Analysis, live: Live) -> None:
    @pi.signals.on("run")
    def run(session: databench.Session, payload: object) -> None:
        session.emit("got", payload)

    live.send("run", {"draws": 3})
    assert await live.get("got") == [{"draws": 3}]


async def test_two_sessions_never_cross(pi: databench.Analysis, live: Live) -> None:
    other = Live(pi)
    turn = threading.Barrier(2, timeout=10)

    @pi.signals.on("run")
    def run(payload: object) -> None:
        for _ in range(50):
            turn.wait()
            pi.signals.emit("plain", payload)

    @pi.signals.on("run")
    async def arun(payload: object) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
            await pi.signals.emit("async", payload)

    live.send("run", "mine")
    other.send("run", "other's")
    for each, payload in ((live, "mine"), (other, "other's")):
        assert await each.get("plain", 50) == [payload] * 50
        assert await each.get("async", 50) == [payload] * 50
    other.end()


async def test_a_handler_that_blocks_delays_no_other_session(pi: databench.Analysis, live: Live) -> None:
    other = Live(pi)
    released = threading.Event()

    @pi.signals.on("run")
    def run(blocks: bool) -> None:
        if blocks:
            released.wait(10)
        pi.signals.emit("done", blocks)

    live.send("run", True)
    other.send("run", False)
    assert await other.get("done") == [False]
    assert live.pages.named("done") == []
    released.set()
    assert await live.get("done") == [True]
    other.end()


async def test_a_plain_handler_waits_while_the_page_is_behind(pi: databench.Analysis, live: Live) -> None:
    emitted: list[int] = []

    @pi.signals.on("run")
    def run() -> None:
        for number in range(WINDOW + 1):
            pi.signals.emit("n", number)
            emitted.append(number)

    live.send("run")
    await live.get("n", WINDOW)
    assert WINDOW not in emitted
    live.pages.acknowledge(live.session)
    await live.get("n", WINDOW + 1)


async def test_an_async_flood_without_await_is_an_error_and_loses_nothing(
    pi: databench.Analysis, live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    @pi.signals.on("flood")
    async def flood() -> None:
        for number in range(KEPT + 1):
            pi.signals.emit("n", number)

    @pi.signals.on("run")
    async def run() -> None:
        await pi.signals.emit("alive")

    live.send("flood")
    for count in range(WINDOW, KEPT, WINDOW):
        await live.get("n", count)
        live.pages.acknowledge(live.session)
    await live.get("error")
    assert live.pages.named("n") == list(range(KEPT - RESERVED))
    assert "the page is too far behind for emit('n')" in caplog.text
    live.send("run")
    await live.get("alive")


async def test_signals_of_one_name_are_handled_one_after_the_other(pi: databench.Analysis, live: Live) -> None:
    running: list[int] = []

    @pi.signals.on("run")
    async def run(number: int) -> None:
        running.append(number)
        await asyncio.sleep(0)
        await pi.signals.emit("running", list(running))
        running.remove(number)

    for number in range(5):
        live.send("run", number)
    assert await live.get("running", 5) == [[0], [1], [2], [3], [4]]


async def test_plain_handlers_of_one_name_run_one_after_the_other_too(pi: databench.Analysis, live: Live) -> None:
    alone = threading.Lock()

    @pi.signals.on("run")
    def run(number: int) -> None:
        with contextlib.ExitStack() as stack:
            pi.signals.emit("alone", [number, alone.acquire(blocking=False)])
            stack.callback(alone.release)

    for number in range(20):
        live.send("run", number)
    assert await live.get("alone", 20) == [[number, True] for number in range(20)]


async def test_handlers_of_different_names_run_at_the_same_time(pi: databench.Analysis, live: Live) -> None:
    together = threading.Barrier(2, timeout=10)

    @pi.signals.on("one")
    @pi.signals.on("other")
    def run() -> None:
        together.wait()
        pi.signals.emit("done")

    live.send("one")
    live.send("other")
    await live.get("done", 2)


async def test_a_signal_nobody_handles_is_answered_with_those_that_are(pi: databench.Analysis, live: Live) -> None:
    pi.signals.on("run")(print)
    pi.signals.on("draw")(print)
    live.send("rum")
    assert await live.warning() == ("rum", "nobody handles the signal 'rum'; 'handled' handles: draw, run")


async def test_connect_and_disconnect_need_no_handler(live: Live) -> None:
    live.send("connect")
    live.send("unknown")
    assert await live.warning() == ("unknown", "nobody handles the signal 'unknown'; 'handled' handles: none")
    assert len(live.pages.named("warn")) == 1


async def test_a_payload_that_does_not_decode_is_answered_with_a_warning(pi: databench.Analysis, live: Live) -> None:
    pi.signals.on("run")(print)
    live.handling.arrive("run", b"\xc1")
    signal, message = await live.warning()
    assert signal == "run"
    assert message.startswith("payload does not decode")


async def test_asyncio_tasks_and_threads_of_a_handler_keep_its_session(pi: databench.Analysis, live: Live) -> None:
    def work(text: str) -> None:
        pi.signals.emit("said", text)

    @pi.signals.on("run")
    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(work, "to_thread"))
        databench.thread(work, "thread").join()

    live.send("run")
    assert await live.get("said", 2) == ["to_thread", "thread"]


async def test_what_a_handler_sets_in_its_context_is_not_there_in_the_next_one(
    pi: databench.Analysis, live: Live
) -> None:
    unit = contextvars.ContextVar("unit", default="as it was")

    @pi.signals.on("run")
    async def run() -> None:
        await pi.signals.emit("unit", unit.get())
        unit.set("changed")
        # So that the next one waits and begins where this one ends.
        await asyncio.sleep(0)

    live.send("run")
    live.send("run")
    assert await live.get("unit", 2) == ["as it was", "as it was"]


async def test_a_signal_that_was_handled_leaves_no_cycles_behind(pi: databench.Analysis, live: Live) -> None:
    scopes: list[weakref.ref[JobScope]] = []

    @pi.signals.on("run")
    async def run() -> None:
        scopes.append(weakref.ref(current_scope.get()))
        await pi.signals.emit("done")

    gc.disable()
    try:
        live.send("run")
        await live.get("done")
        await live.handling.finished()
        assert [scope() for scope in scopes] == [None]
    finally:
        gc.enable()


async def test_the_null_payload_is_none(pi: databench.Analysis, live: Live) -> None:
    @pi.signals.on("run")
    def run(payload: object) -> None:
        pi.signals.emit("none", payload is None)

    live.handling.arrive("run", NULL)
    assert await live.get("none") == [True]
