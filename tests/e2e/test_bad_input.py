"""What a browser may send and should not: refused with a code, and nobody else notices."""

from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from databench.testing import Page
from databench.wire import codec
from databench.wire.messages import Ack, Attach, Signal
from tests.e2e.server import Server

NULL = codec.pack(None)


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("text", 1003, "binary"),
        (b"\xc1garbage", 4000, "does not decode"),
        (codec.encode(Signal(1, "echo", NULL))[:-1], 4000, "ends inside"),
        (codec.encode(Attach(None, "p", 0, 0)), 4000, "twice"),
        (codec.encode(Ack(1_000_000, 0)), 4000, "acknowledged"),
        (codec.encode(Ack(0, 1_000_000)), 4000, "acknowledged"),
        (codec.encode(Signal(5, "echo", NULL)), 4003, "missing"),
        (b"\xc6\x06\x00\x00\x00" + bytes(100 * 2**20), 1009, ""),
    ],
    ids=[
        "text",
        "garbage",
        "half a frame",
        "attach twice",
        "a forged ack",
        "a forged ack of state",
        "a hole",
        "100 MB",
    ],
)
async def test_a_bad_message_closes_the_connection_with_a_code(
    server: Server, message: str | bytes, code: int, reason: str
) -> None:
    async with Page(server.url, "probe") as neighbour, Page(server.url, "probe") as page:
        await page.receive("hello")
        with suppress(ConnectionClosed):
            await page.socket.send(message)
        closed = await page.closed()
        assert closed[0] == code
        assert reason in closed[1]
        await neighbour.emit("echo", 1)
        assert (await neighbour.receive("echo")).payload == 1


async def test_a_first_message_that_is_not_attach_closes_the_connection(server: Server) -> None:
    address = server.url.replace("http", "ws") + "/ws/probe"
    async with connect(address, subprotocols=[Subprotocol("databench.1")]) as socket:
        await socket.send(codec.encode(Signal(1, "echo", NULL)))
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (4000, "the first message is not attach")


@pytest.mark.parametrize("offered", [None, "databench.999"])
async def test_another_version_is_refused_by_name(server: Server, offered: str | None) -> None:
    address = server.url.replace("http", "ws") + "/ws/probe"
    subprotocols = [Subprotocol(offered)] if offered else None
    async with connect(address, subprotocols=subprotocols) as socket:
        await socket.wait_closed()
        assert socket.subprotocol == offered, "a browser hears nothing on any other"
        assert socket.close_code == 4001
        assert "databench.1" in (socket.close_reason or "")


async def test_an_unknown_analysis_is_refused(server: Server) -> None:
    address = server.url.replace("http", "ws") + "/ws/nothing"
    async with connect(address, subprotocols=[Subprotocol("databench.1")]) as socket:
        await socket.wait_closed()
        assert socket.close_code == 4004


async def test_a_payload_that_does_not_decode_is_answered_with_a_warning(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        await page.socket.send(codec.encode(Signal(1, "echo", b"\xc1")))
        assert "does not decode" in (await page.receive("warn")).payload["message"]


@pytest.mark.parametrize(("origin", "code"), [("http://elsewhere.example", 4005), (None, 4000)])
async def test_a_page_of_another_site_is_refused(server: Server, origin: str | None, code: int) -> None:
    address = server.url.replace("http", "ws") + "/ws/probe"
    own = Origin(origin or server.url)
    async with connect(address, subprotocols=[Subprotocol("databench.1")], origin=own) as socket:
        with suppress(ConnectionClosed):
            await socket.send(codec.encode(Ack(1, 0)))
        await socket.wait_closed()
        assert socket.close_code == code
