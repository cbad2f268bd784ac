"""The page through which these tests look does what a browser does."""

import asyncio

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from databench import testing
from databench.testing import Page
from databench.wire import codec
from databench.wire.messages import FROM_BROWSER, SUBPROTOCOL, Attach, Attached, Broadcasts
from tests.chaos.cluster import Cluster
from tests.chaos.proxy import Proxy, Way

SIZE, COUNT = 10_000, 3_000
"""Together more than a window, and more than is kept."""


async def hasty(socket: ServerConnection) -> None:
    """A gateway that passes on a broadcast before the answer to `attach`; the next one comes after it."""
    frame = await socket.recv()
    assert isinstance(frame, bytes)
    attach = codec.decode_one(frame, FROM_BROWSER)
    assert isinstance(attach, Attach)
    await socket.send(codec.encode(Broadcasts(1, "news", [codec.pack("too early")])))
    await socket.send(codec.encode(Attached("t", False, 0, 1)) + codec.encode_state(1, True, {}, []))
    await socket.send(codec.encode(Broadcasts(2, "news", [codec.pack("in time")])))
    await socket.wait_closed()


async def test_a_page_does_not_hear_what_is_said_before_it_is_attached() -> None:
    async with serve(hasty, "127.0.0.1", 0, subprotocols=[Subprotocol(SUBPROTOCOL)]) as server:
        port = server.sockets[0].getsockname()[1]
        async with Page(f"http://127.0.0.1:{port}", "any") as page:
            await page.until(lambda: page.heard == 2)
            assert [signal.payload for signal in page.log] == ["in time"]


async def emit_on_and_on(page: Page) -> None:
    while True:
        await page.emit("more")
        await asyncio.sleep(0)


async def test_a_page_waits_for_no_connection_that_is_being_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway wants the page to agree, which it never hears."""
    monkeypatch.setattr(testing, "CLOSE_PATIENCE", 0.05)
    deaf = asyncio.Event()

    async def closing(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(codec.encode(Attached("t", False, 0, 0)) + codec.encode_state(1, True, {}, []))
        await deaf.wait()
        await socket.close(4003)

    protocols = [Subprotocol(SUBPROTOCOL)]
    async with serve(closing, "127.0.0.1", 0, subprotocols=protocols, close_timeout=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with Proxy(f"http://127.0.0.1:{port}") as proxy, Page(proxy.url, "any") as page:
            proxy.stall(Way.TO_GATEWAY)
            deaf.set()
            async with asyncio.timeout(20):
                with pytest.raises(ConnectionClosed):
                    await emit_on_and_on(page)
            assert page.socket.close_code == 4003


async def test_a_page_that_waits_for_something_acknowledges_what_comes_meanwhile(cluster: Cluster) -> None:
    async with Page(cluster.url("gateway-1"), "shared") as page:
        await page.emit("burst", {"count": COUNT, "size": SIZE})
        await page.until(lambda: "end" in [signal.name for signal in page.log[-1:]])
        assert page.missed == 0
