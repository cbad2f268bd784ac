"""How handlers end: by an error, which is told, or with their session, which stops them."""

import asyncio
import contextlib
import threading

import pytest

import databench
from databench.wire.log import BOUNDS
from tests.author import Live

WINDOW = BOUNDS.window
KEPT = BOUNDS.safe


@databench.task
def half(number: int) -> float:
    return number / 2


def raising(pi: databench.Analysis, error: BaseException) -> None:
    @pi.signals.on("plain")
    def plain() -> None:
        raise error

    @pi.signals.on("async")
    async def coroutine() -> None:
        raise error

    @pi.signals.on("run")
    def run() -> None:
        pi.signals.emit("alive")


@pytest.mark.parametrize("signal", ["plain", "async"])
@pytest.mark.parametrize("development", [False, True])
async def test_an_error_is_told_to_the_page_and_the_session_lives_on(
    pi: databench.Analysis, signal: str, development: bool, caplog: pytest.LogCaptureFixture
) -> None:
    live = Live(pi, development=development)
    raising(pi, ZeroDivisionError("no"))
    live.send(signal)
    [error] = await live.get("error")
    assert isinstance(error, dict)
    text = error.pop("traceback")
    assert error == {"signal": signal, "type": "ZeroDivisionError", "message": "no"}
    assert "raise error" in text if development else text is None
    assert "raise error" in caplog.text
    live.send(signal)
    await live.get("error", 2)
    live.send("run")
    await live.get("alive")
    live.end()


@pytest.mark.parametrize("signal", ["plain", "async"])
async def test_an_error_whose_text_cannot_be_sent_stops_nothing(
    pi: databench.Analysis, live: Live, signal: str
) -> None:
    raising(pi, FileNotFoundError("data-\udcff.csv"))
    live.send(signal)
    live.send(signal)
    [error, _] = await live.get("error", 2)
    assert isinstance(error, dict)
    assert error["message"] == "data-?.csv"


async def test_sys_exit_in_a_handler_ends_only_the_handler(pi: databench.Analysis, live: Live) -> None:
    raising(pi, SystemExit(1))
    live.send("plain")
    live.send("async")
    live.send("run")
    await live.get("alive")
    assert live.pages.named("error") == []


async def test_what_cannot_be_sent_is_an_error_at_the_line_that_emits_it(pi: databench.Analysis) -> None:
    live = Live(pi, development=True)

    @pi.signals.on("run")
    def run() -> None:
        pi.signals.emit("status", {"a": [1j]})

    live.send("run")
    [error] = await live.get("error")
    assert isinstance(error, dict)
    assert error["type"] == "PayloadError"
    assert error["message"].startswith("payload['a'][0] is of type complex")
    assert 'pi.signals.emit("status", {"a": [1j]})' in error["traceback"]
    live.end()


async def test_the_end_stops_a_plain_handler_even_in_a_loop_that_catches_exceptions(
    pi: databench.Analysis, live: Live
) -> None:
    stopped = threading.Event()

    @pi.signals.on("run")
    def run() -> None:
        try:
            while True:
                with contextlib.suppress(Exception):
                    pi.signals.emit("n")
        finally:
            stopped.set()

    live.send("run")
    await live.get("n")
    live.end()
    await asyncio.to_thread(stopped.wait)
    assert live.pages.named("error") == []


async def test_the_end_stops_a_plain_handler_that_sleeps(pi: databench.Analysis, live: Live) -> None:
    stopped = threading.Event()

    @pi.signals.on("run")
    def run() -> None:
        try:
            pi.signals.emit("begun")
            databench.sleep(3600)
        finally:
            stopped.set()

    live.send("run")
    await live.get("begun")
    live.end()
    await asyncio.to_thread(stopped.wait)


async def test_the_end_cancels_an_async_handler_and_forgets_what_waits(pi: databench.Analysis, live: Live) -> None:
    seen: list[object] = []

    @pi.signals.on("run")
    async def run(number: int) -> None:
        try:
            seen.append(number)
            await pi.signals.emit("begun")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    live.send("run", 1)
    live.send("run", 2)
    await live.get("begun")
    live.end()
    await live.handling.finished()
    assert seen == [1, "cancelled"]


async def test_a_handler_that_has_not_begun_when_the_session_ends_never_begins(
    pi: databench.Analysis, live: Live
) -> None:
    seen: list[object] = []

    @pi.signals.on("run")
    async def run() -> None:
        seen.append("begun")

    live.send("run")
    live.end()
    await live.handling.finished()
    assert seen == []


@pytest.mark.parametrize("form", ["plain", "async"])
async def test_after_the_end_disconnect_is_handled(pi: databench.Analysis, live: Live, form: str) -> None:
    loop = asyncio.get_running_loop()
    handled = asyncio.Event()

    def plain() -> None:
        loop.call_soon_threadsafe(handled.set)

    async def coroutine() -> None:
        await asyncio.sleep(0)
        handled.set()

    pi.signals.on("disconnect")(plain if form == "plain" else coroutine)
    live.end()
    await handled.wait()


async def test_a_flood_that_finds_no_room_is_told_to_the_page_that_is_behind(
    pi: databench.Analysis, live: Live
) -> None:
    @pi.signals.on("run")
    async def run() -> None:
        for number in range(KEPT + 1):
            pi.signals.emit("n", number)

    live.send("run")
    await live.get("n", WINDOW)
    while not live.pages.named("error"):
        live.pages.acknowledge(live.session)
        await asyncio.sleep(0)
    [error] = live.pages.named("error")
    assert "too far behind" in str(error)


async def test_what_a_thread_raises_is_told_and_it_may_use_workers_after_its_handler(
    pi: databench.Analysis, live: Live
) -> None:
    returned = threading.Event()

    def compute() -> None:
        returned.wait(10)
        pi.signals.emit("halves", sorted(databench.map(half, [2, 4])))
        raise ValueError("in a thread")

    @pi.signals.on("run")
    def run() -> None:
        databench.thread(compute)
        pi.signals.emit("returns")

    live.send("run")
    await live.get("returns")
    returned.set()
    assert await live.get("halves") == [[1.0, 2.0]]
    [error] = await live.get("error")
    assert "in a thread" in str(error)
