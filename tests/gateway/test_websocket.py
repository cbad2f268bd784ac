"""The gateway's end of a WebSocket, with a real server and a real client of websockets, or bare sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import cast

import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.http11 import Request
from websockets.typing import Subprotocol

from databench_gateway import websocket
from databench_gateway.websocket import WebSocket
from tests.clock import Clock
from tests.e2e.server import eventually

LIMIT = 2_000_000
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Recorder:
    """A listener, and the connection that it listens to."""

    def __init__(self, connection: WebSocket, path: str) -> None:
        self.connection = connection
        self.path = path
        self.messages: list[bytes | None] = []
        self.pauses: list[int] = []
        self.left: int | None = None
        self.news = asyncio.Event()

    def received(self, message: bytes | None) -> None:
        self.messages.append(message)
        self.news.set()

    def paused(self, size: int) -> None:
        self.pauses.append(size)
        self.news.set()

    def resumed(self) -> None:
        self.pauses.append(0)
        self.news.set()

    def lost(self, code: int) -> None:
        self.left = code
        self.news.set()

    async def until(self, condition: Callable[["Recorder"], bool]) -> None:
        while not condition(self):
            self.news.clear()
            await self.news.wait()


class Site:
    """A server whose connections are all recorded."""

    def __init__(self) -> None:
        self.recorders: asyncio.Queue[Recorder] = asyncio.Queue()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        self.breaks = False
        make = cast(type[asyncio.Protocol], partial(WebSocket, "spoken", self._accept))
        self.server = uvicorn.Server(
            uvicorn.Config(self._pages, ws=make, ws_max_size=LIMIT, log_config=None, lifespan="off")
        )

    async def _pages(self, scope: object, receive: object, send: object) -> None:
        raise AssertionError("no page is asked for")

    def _accept(self, connection: WebSocket, request: Request) -> None:
        connection.listener = recorder = Recorder(connection, request.path)
        self.recorders.put_nowait(recorder)
        return self._fail() if self.breaks else None  # type: ignore[return-value]

    async def _fail(self) -> None:
        raise RuntimeError("on purpose")

    async def page(self, *subprotocols: str) -> tuple[ClientConnection, Recorder]:
        offered = [Subprotocol(each) for each in subprotocols or ("other", "spoken")]
        page = await connect(f"ws://127.0.0.1:{self.port}/here?x=1", subprotocols=offered, compression=None)
        return page, await self.recorders.get()

    async def bare(self, **options: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Recorder]:
        """Connect without a client that answers pings, reads or closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"\r\n\r\n")
        return reader, writer, await self.recorders.get()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    serving = asyncio.create_task(site.server._serve([site.listening]))
    yield site
    site.server.should_exit = True
    await serving
    assert not site.server.server_state.connections


async def test_messages_come_and_go_whole_and_in_order(site: Site) -> None:
    page, recorder = await site.page()
    async with page:
        sent = [b"", b"a", bytes(200), bytes(70_000), b"z"]
        for message in sent:
            await page.send(message)
        await page.send([b"in ", b"three ", b"frames"])
        await recorder.until(lambda it: len(it.messages) == 6)
        assert recorder.messages == [*sent, b"in three frames"]
        for message in sent:
            recorder.connection.send(message)
        assert [await page.recv() for _ in sent] == sent
        assert recorder.path == "/here?x=1"


async def test_a_text_is_told_as_none(site: Site) -> None:
    page, recorder = await site.page()
    async with page:
        await page.send("text")
        await recorder.until(lambda it: it.messages == [None])


@pytest.mark.parametrize(("offered", "spoken"), [("spoken", "spoken"), ("other", None)])
async def test_who_does_not_speak_the_protocol_is_connected_all_the_same(
    site: Site, offered: str, spoken: str | None
) -> None:
    page, recorder = await site.page(offered)
    async with page:
        # A browser that offers some gives up, without a close code, where none of them is chosen.
        assert (page.subprotocol, recorder.connection.subprotocol) == (offered, spoken)


@pytest.mark.parametrize("code", [1000, 1001, 4003])
async def test_the_close_code_of_the_other_side_is_told(site: Site, code: int) -> None:
    page, recorder = await site.page()
    await page.close(code)
    await recorder.until(lambda it: it.left == code)


async def test_a_connection_that_is_cut_is_told_with_1006(site: Site) -> None:
    page, recorder = await site.page()
    page.transport.abort()
    await recorder.until(lambda it: it.left == 1006)
    recorder.connection.send(b"too late")
    recorder.connection.close(1000, "too late")


async def test_closing_says_code_and_reason_and_tells_the_listener_nothing_more(site: Site) -> None:
    page, recorder = await site.page()
    recorder.connection.send(b"last")
    recorder.connection.close(4008, "ü" * 100)
    await page.send(b"unheard")
    assert await page.recv() == b"last"
    await page.wait_closed()
    assert (page.close_code, page.close_reason) == (4008, "ü" * 60)
    assert (recorder.messages, recorder.left) == ([], None)


async def test_a_message_beyond_the_limit_ends_the_connection_with_1009(site: Site) -> None:
    page, recorder = await site.page()
    await page.send(bytes(LIMIT + 1))
    await page.wait_closed()
    assert page.close_code == 1009
    await recorder.until(lambda it: it.left == 1006)


async def test_the_last_word_of_who_does_not_wait_for_an_answer_is_heard(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port)) as page:
        await asyncio.to_thread(page.sendall, HANDSHAKE)
        recorder = await site.recorders.get()
        await asyncio.to_thread(page.recv, 4096)
        page.sendall(b"\x88\x82\0\0\0\0" + (1001).to_bytes(2))
    await recorder.until(lambda it: it.left is not None)
    assert recorder.left == 1001


async def test_who_goes_on_sending_beyond_the_limit_gets_the_close_code_all_the_same(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port)) as page:
        await asyncio.to_thread(page.sendall, HANDSHAKE)
        recorder = await site.recorders.get()
        await asyncio.to_thread(page.sendall, b"\x82\xff" + (LIMIT + 1).to_bytes(8) + b"mask")
        await recorder.until(lambda it: it.left == 1006)
        for _ in range(2):
            await asyncio.to_thread(page.sendall, bytes(LIMIT // 2))
        said = b"".join([chunk async for chunk in received(page)])
        frame = said.partition(b"\r\n\r\n")[2]
        assert (frame[:1], frame[2:4]) == (b"\x88", (1009).to_bytes(2))


async def received(page: socket.socket) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(page.recv, 4096):
        yield chunk


async def test_what_is_no_websocket_ends_the_connection(site: Site) -> None:
    reader, writer, recorder = await site.bare()
    writer.write(b"\xff" * 10)
    await recorder.until(lambda it: it.left == 1006)
    assert (await reader.read()).startswith(b"\x88")
    writer.close()


async def test_the_listener_learns_when_the_other_side_does_not_read_and_when_it_does_again(site: Site) -> None:
    reader, writer, recorder = await site.bare(limit=1_000)
    while recorder.connection.writable:
        recorder.connection.send(bytes(100_000))
        await asyncio.sleep(0)
    await recorder.until(lambda it: len(it.pauses) == 1)
    assert recorder.pauses[0] > 64 * 1024
    while len(recorder.pauses) == 1:
        await reader.read(100_000)
    assert recorder.pauses[1] == 0
    assert recorder.connection.writable
    writer.transport.abort()


async def test_who_does_not_take_the_close_code_is_let_go_of(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "CLOSE_PATIENCE", 0.05)
    _, writer, recorder = await site.bare(limit=1_000)
    while recorder.connection.writable:
        recorder.connection.send(bytes(100_000))
    recorder.connection.close(4008, "unread")
    await asyncio.to_thread(eventually, lambda: not site.server.server_state.connections)
    writer.transport.abort()


async def test_who_answers_no_ping_is_gone_after_two_looks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "PING_INTERVAL", 0.05)
    reader, writer, recorder = await site.bare()
    assert await reader.readexactly(2) == b"\x89\x00"
    await recorder.until(lambda it: it.left == 1006)
    writer.close()


async def test_who_answers_pings_stays(site: Site, clock: Clock) -> None:
    reader, writer, recorder = await site.bare()
    for _ in range(5):
        await clock.advance(websocket.PING_INTERVAL)
        assert await reader.readexactly(2) == b"\x89\x00"
        writer.write(b"\x8a\x80\0\0\0\0")
        while not recorder.connection._alive:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0)
    assert recorder.left is None
    writer.close()


async def test_what_arrives_can_be_left_where_it_is(site: Site) -> None:
    (page, recorder), (other, after) = await site.page(), await site.page()
    async with page, other:
        recorder.connection.pause_reading()
        await page.send(b"later")
        await other.send(b"now")
        await after.until(lambda it: it.messages == [b"now"])
        assert recorder.messages == []
        recorder.connection.resume_reading()
        await recorder.until(lambda it: it.messages == [b"later"])


async def test_a_failure_of_what_runs_for_a_connection_ends_it_with_1011(site: Site) -> None:
    site.breaks = True
    page, _ = await site.page()
    await page.wait_closed()
    assert page.close_code == 1011


async def test_a_server_that_stops_says_1012(site: Site) -> None:
    page, recorder = await site.page()
    site.server.should_exit = True
    await page.wait_closed()
    assert (page.close_code, recorder.left) == (1012, 1012)
