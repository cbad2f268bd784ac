"""Tokens that are none, and connections that send garbage: nobody else notices."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from databench.testing import Page
from databench.wire import codec
from databench.wire.messages import SUBPROTOCOL, Ack, Attach, Signal
from tests.chaos.cluster import Cluster
from tests.chaos.proxy import Proxy, Way
from tests.chaos.streaming import Stream
from tests.chaos.tab import Tab

FORGERIES: dict[str, Callable[[str], str]] = {
    "random": lambda token: secrets.token_urlsafe(24),
    "empty": lambda token: "",
    "a dot": lambda token: ".",
    "the mark alone": lambda token: token.partition(".")[0],
    "the mark and a dot": lambda token: token.partition(".")[0] + ".",
    "the mark and a wrong secret": lambda token: token.partition(".")[0] + "." + secrets.token_urlsafe(24),
    "the secret alone": lambda token: token.partition(".")[2],
    "another mark": lambda token: "0" * 8 + "." + token.partition(".")[2],
    "one character less": lambda token: token[:-1],
    "one character more": lambda token: token + "A",
    "in capitals": lambda token: token.upper(),
    "of characters beyond ASCII": lambda token: "\0é\U0001f600" * 10,
    "a megabyte": lambda token: "x" * 2**20,
    "a megabyte behind the mark": lambda token: token.partition(".")[0] + "." + "x" * 2**20,
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_a_token_that_is_none_is_answered_like_no_token(cluster: Cluster, forge: Callable[[str], str]) -> None:
    url = cluster.url("gateway-1")
    async with Page(url, "shared") as page:
        assert page.token is not None
        async with Page(url, "shared", forge(page.token), seen=7) as stranger:
            assert not stranger.resumed
            assert stranger.token not in (page.token, forge(page.token))
            await stranger.receive("hello")
            assert stranger.seen == 1
        await page.emit("echo", 1)
        assert (await page.receive("echo")).payload == 1


@pytest.mark.parametrize("analysis", ["at-runner-1", "at-runner-2"])
async def test_a_token_of_another_analysis_is_answered_like_no_token(cluster: Cluster, analysis: str) -> None:
    url = cluster.url("gateway-1")
    async with Page(url, analysis) as page, Page(url, "shared", page.token) as stranger:
        assert not stranger.resumed
        assert stranger.token != page.token
        await stranger.receive("hello")


async def test_a_token_of_a_session_that_is_over_is_answered_like_no_token(cluster: Cluster) -> None:
    url = cluster.url("gateway-1")
    async with Page(url, "shared") as page:
        await page.receive("hello")
    async with Page(url, "shared", page.token) as late:
        assert not late.resumed
        assert late.token != page.token
        await late.receive("hello")


GARBAGE = [
    b"\xc1garbage",
    bytes(1_000),
    codec.encode(Signal(1, "echo", codec.pack(1)))[:-1],
    codec.encode(Attach(None, "p", 0, 0)),
    codec.encode(Ack(1_000_000, 0)),
    codec.encode(Signal(9, "echo", codec.pack(1))),
]


async def send_garbage(url: str, garbage: bytes, *, attached: bool) -> None:
    """Send it, as the first word or later, and wait until the gateway has had enough."""
    async with connect(f"{url}/ws/shared".replace("http", "ws"), subprotocols=[Subprotocol(SUBPROTOCOL)]) as socket:
        with suppress(ConnectionClosed):
            if attached:
                await socket.send(codec.encode(Attach(None, secrets.token_hex(8), 0, 0)))
            await socket.send(garbage)
            await socket.send(garbage)
            async for _ in socket:
                pass
        assert socket.close_code in (4000, 4003)


async def send_half(url: str) -> None:
    """Break off inside the first frame, and inside a later one."""
    for later in (False, True):
        async with Proxy(url) as proxy:
            page = Tab(proxy.url, "shared")
            if later:
                await page.attach()
                await page.receive("hello")
                proxy.cut(Way.TO_GATEWAY, 10)
                await page.emit("echo", bytes(1_000))
            else:
                proxy.cut(Way.TO_GATEWAY, 10)
                with suppress(ConnectionClosed):
                    await page.attach()
            await page.socket.wait_closed()


async def send_to_the_port(url: str, data: bytes) -> None:
    """Send something that is not even HTTP, and go away."""
    where = urlsplit(url)
    _, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(data)
    await writer.drain()
    writer.transport.abort()


async def test_garbage_and_half_frames_are_noticed_by_nobody_else(cluster: Cluster) -> None:
    url = cluster.url("gateway-1")
    async with Tab(url, "shared") as tab:
        stream = Stream(tab)
        await stream.begin()
        await stream.follow(20)
        handshake = b"GET /ws/shared HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        strangers = asyncio.gather(
            *(send_garbage(url, each, attached=attached) for each in GARBAGE for attached in (False, True)),
            send_half(url),
            *(send_to_the_port(url, each) for each in (b"\0" * 10_000, b"\x16\x03\x01", handshake, b"GET /")),
        )
        while not strangers.done():
            await stream.follow(10)
        await strangers
        await stream.follow(20)
        await stream.finish()
        assert tab.attached == 1
