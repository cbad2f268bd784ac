"""Signals between pages and handlers, through all four real services."""

import asyncio
import math

from databench.testing import Page
from tests.e2e.server import Server


async def test_a_page_gets_what_the_connect_handler_emits(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        hello = await page.receive("hello")
    assert hello.payload["pid"] == server.service("runner").pid


async def test_what_a_page_emits_reaches_plain_and_async_handlers(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        for signal in ("echo", "echo async"):
            await page.emit(signal, {"a": [1, None, "π", 2.5, math.inf]})
            assert (await page.receive("echo")).payload == {"a": [1, None, "π", 2.5, math.inf]}


async def test_arrays_arrive_as_arrays(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        await page.emit("array")
        array = (await page.receive("array")).payload
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


async def test_20_000_signals_arrive_once_and_in_order(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        await page.emit("count", 20_000)
        numbers = [(await page.receive("number")).payload for _ in range(20_000)]
    assert numbers == list(range(20_000))
    assert page.missed == 0


async def test_two_pages_have_two_sessions_and_signals_never_cross(server: Server) -> None:
    async with Page(server.url, "probe") as one, Page(server.url, "probe") as other:
        assert one.token != other.token
        await asyncio.gather(one.emit("count", 300), other.emit("count", 200))
        # Another handler of the same session: it may end before the first one does.
        await one.emit("echo", "one")
        await other.emit("echo", "other")
        for page, numbers, word in ((one, 300, "one"), (other, 200, "other")):
            while len(page.log) < 1 + numbers + 1:
                await page.receive()
            assert [signal.payload for signal in page.log if signal.name == "number"] == list(range(numbers))
            assert [signal.payload for signal in page.log if signal.name == "echo"] == [word]


async def test_handlers_that_block_or_compute_do_not_hold_up_another_session() -> None:
    with Server() as server:
        async with (
            Page(server.url, "probe") as blocked,
            Page(server.url, "probe") as computing,
            Page(server.url, "probe") as page,
        ):
            await blocked.emit("block")
            await computing.emit("compute")
            for number in range(50):
                await page.emit("echo", number)
                assert (await page.receive("echo")).payload == number
            assert "unblocked" not in [signal.name for signal in blocked.log]
            await page.emit("release")
            await blocked.receive("unblocked")
            await computing.receive("computed")


async def test_a_signal_that_nobody_handles_is_answered_with_a_warning(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        await page.emit("nonsense", 1)
        warning = (await page.receive("warn")).payload
    assert warning["signal"] == "nonsense"
    assert "echo" in warning["message"]


async def test_a_handler_is_restarted_and_cancelled_by_its_page_and_refuses_what_does_not_fit(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        await page.emit("compute on workers", 3600.0)
        await page.receive("computing")
        await page.emit("compute on workers", 1800.0)
        assert (await page.receive("computing")).payload == 1800.0
        await page.emit("cancel", "compute on workers")
        await page.emit("compute on workers", -1)
        error = (await page.receive("error")).payload
        assert error["type"] == "ValidationError"
        assert error["message"] == "seconds: Input should be greater than or equal to 0, not -1"
        await page.emit("which ended")
        assert (await page.receive("ended")).payload == [3600.0, 1800.0]


async def test_a_handler_that_raises_is_told_and_its_session_lives_on(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        await page.emit("raise")
        error = (await page.receive("error")).payload
        assert (error["signal"], error["type"], error["message"]) == ("raise", "ValueError", "on purpose")
        assert "probe.py" in error["traceback"]
        await page.emit("echo", 1)
        assert (await page.receive("echo")).payload == 1


async def test_what_cannot_be_sent_is_a_type_error_at_the_emit_line(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        await page.emit("send a lock")
        error = (await page.receive("error")).payload
    assert error["type"] == "PayloadError"
    assert error["message"].startswith("payload['rows'][1]['lock'] is of type _thread.lock")
    assert 'probe.signals.emit("never"' in error["traceback"]


async def test_a_dropped_page_comes_back_to_its_session_and_misses_nothing(server: Server) -> None:
    page = Page(server.url, "probe")
    await page.attach()
    await page.emit("count slowly", 200)
    for _ in range(20):
        await page.receive("number")
    page.drop()
    await page.attach()
    assert page.resumed
    while (await page.receive("number")).payload != 199:
        pass
    await page.socket.close()
    numbers = [signal.payload for signal in page.log if signal.name == "number"]
    assert numbers == list(range(200))


async def test_a_token_that_nobody_gave_out_begins_a_new_session(server: Server) -> None:
    async with Page(server.url, "probe", token="forged", seen=7) as page:
        assert not page.resumed
        assert page.token != "forged"
        await page.receive("hello")


async def test_a_page_that_comes_back_is_not_held_up_by_its_own_dead_connection(server: Server) -> None:
    ghost = Page(server.url, "probe")
    await ghost.attach()
    dead = ghost.socket
    # Nobody reads the first connection any more, and nobody has noticed yet.
    await ghost.attach()
    assert ghost.resumed
    await ghost.emit("count", 20_000)
    while (await ghost.receive("number")).payload != 19_999:
        pass
    await dead.wait_closed()
    assert dead.close_reason == "the page has attached again"
    await ghost.socket.close()


async def test_a_page_cannot_say_what_the_session_itself_says(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        await page.receive("hello")
        await page.emit("connect")
        assert "the session itself" in (await page.receive("warn")).payload["message"]
        assert [signal.name for signal in page.log].count("hello") == 1
