"""The ROUTER of the chunk plane: what it tells of its peers. Nothing here knows of silence or time."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from databench.bus.address import addresses, free_ports
from databench.wire.outbox import Outgoing
from databench_broker.sockets import Router

PEER = """
import sys, zmq
context = zmq.Context()
dealer = context.socket(zmq.DEALER)
dealer.routing_id = sys.argv[2].encode()
dealer.connect(sys.argv[1])
dealer.send_multipart((b"hello", b"x" * int(sys.argv[3])))
while True:
    dealer.send_multipart(dealer.recv_multipart())
"""


class Told:
    """What the router tells, and what it is to send."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[bytes, bytes, bytes] | bytes] = asyncio.Queue()
        self.to_send: list[Outgoing] = []

    def received(self, sender: bytes, envelope: bytes, payload: bytes) -> None:
        self.got.put_nowait((sender, envelope, payload))

    def disconnected(self, sender: bytes) -> None:
        self.got.put_nowait(sender)

    def outgoing(self) -> Iterable[Outgoing]:
        taken, self.to_send = self.to_send, []
        return taken


@pytest.fixture
def told() -> Told:
    """What a test sees."""
    return Told()


@pytest.fixture(params=["ipc", "tcp"])
async def router(request: pytest.FixtureRequest, told: Told, tmp_path: Path) -> AsyncIterator[tuple[Router, str]]:
    """A router and its address, on both transports."""
    where = addresses(f"ipc://{tmp_path}/bus" if request.param == "ipc" else f"tcp://127.0.0.1:{free_ports(3)}")
    router = Router(where, told)
    yield router, where.chunks
    router.close()


async def peer(address: str, name: str, size: int = 1) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", PEER, address, name, str(size))


def blocking_peer(address: str, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", PEER, address, name, "1"])


async def test_the_end_of_a_process_is_told_after_what_it_said(router: tuple[Router, str], told: Told) -> None:
    one, other = await peer(router[1], "one"), await peer(router[1], "other")
    said = [await told.got.get(), await told.got.get()]
    assert sorted(said) == [(b"one", b"hello", b"x"), (b"other", b"hello", b"x")]
    for process, name in ((other, b"other"), (one, b"one")):
        process.kill()
        assert await told.got.get() == name
        await process.wait()


async def test_one_that_comes_back_is_told_of_again(router: tuple[Router, str], told: Told) -> None:
    for _ in range(3):
        process = await peer(router[1], "again")
        assert await told.got.get() == (b"again", b"hello", b"x")
        process.kill()
        assert await told.got.get() == b"again"
        await process.wait()


async def test_one_that_connects_anew_before_its_end_was_noticed_is_told_of_too(
    router: tuple[Router, str], told: Told
) -> None:
    first = await peer(router[1], "again")
    assert await told.got.get() == (b"again", b"hello", b"x")
    second = await peer(router[1], "again")
    assert [await told.got.get(), await told.got.get()] == [b"again", (b"again", b"hello", b"x")]
    first.kill()
    await first.wait()
    second.kill()
    assert await told.got.get() == b"again"
    await second.wait()


async def test_who_gets_the_descriptor_of_one_that_ended_is_not_taken_for_it(
    router: tuple[Router, str], told: Told
) -> None:
    one, other = blocking_peer(router[1], "one"), None
    try:
        hello = await told.got.get()
        one.kill()
        one.wait()
        other = blocking_peer(router[1], "other")
        while told.got.empty():  # the loop has no turn meanwhile, in which it would hear of the end
            router[0].drain()
        assert [hello, told.got.get_nowait(), await told.got.get()] == [
            (b"one", b"hello", b"x"),
            b"one",
            (b"other", b"hello", b"x"),
        ]
        told.to_send = [(b"other", b"echo", b"x")]
        router[0].flush()
        assert await told.got.get() == (b"other", b"echo", b"x")
    finally:
        if other is not None:
            other.kill()
            other.wait()
    assert await told.got.get() == b"other"


async def test_a_large_payload_goes_on_and_may_go_on_twice(router: tuple[Router, str], told: Told) -> None:
    process = await peer(router[1], "large", 10_000_000)
    message = await told.got.get()
    assert isinstance(message, tuple)
    for _ in range(2):
        told.to_send = [message]
        router[0].flush()
        echo = await told.got.get()
        assert isinstance(echo, tuple)
        assert len(echo[2]) == 10_000_000
    process.kill()
    await process.wait()
