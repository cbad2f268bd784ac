"""A bridge between a WebSocket that only notes what it is told and a runner that only notes what is relayed."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from databench.wire import codec
from databench.wire.messages import SIGNAL_PLANE, Ack, Attach, Closed, Message, Opened, Relayed, Signal
from databench_gateway import bridge as bridges
from databench_gateway.bridge import BACKLOG, FRAME_LIMIT, Bridge, ConnectionEndError, Relay
from databench_gateway.websocket import WebSocket

ATTACH = codec.encode(Attach(None, "page", 0, 0))
ACK = codec.encode(Ack(0, 0))


class Socket:
    """What a bridge needs of a WebSocket."""

    def __init__(self) -> None:
        self.writable = True
        self.sent: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.reading = True

    def send(self, message: bytes) -> None:
        assert self.writable
        self.sent.append(message)

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Place:
    """A bridge that runs, and both its sides."""

    def __init__(self) -> None:
        self.socket = Socket()
        self.bridge = Bridge(cast(WebSocket, self.socket), "viewer", "gateway", "pi")
        self.relayed: list[tuple[Message, bytes]] = []
        self.runner: asyncio.Future[Relay] = asyncio.get_running_loop().create_future()
        self.running = asyncio.create_task(self.bridge.run(self._find))

    async def _find(self, attach: Attach) -> Relay:
        return await self.runner

    def relay(self, envelope: bytes, body: bytes) -> None:
        self.relayed.append((codec.decode_one(envelope, SIGNAL_PLANE), body))

    async def attach(self) -> None:
        self.bridge.received(ATTACH)
        self.runner.set_result(self.relay)
        await turns(5)
        assert self.relayed == [(Opened("gateway", "viewer", "pi"), ATTACH)]

    async def end(self) -> tuple[int, str] | None:
        await self.running
        return self.socket.closed


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    yield place
    place.bridge.lost(1006)
    await place.running


async def test_what_the_page_says_is_relayed_as_it_comes(place: Place) -> None:
    await place.attach()
    signal = codec.encode(Signal(1, "run", b"\xc0"), Ack(1, 0))
    place.bridge.received(signal)
    place.bridge.received(ACK)
    assert place.relayed[1:] == [(Relayed("gateway", "viewer"), signal), (Relayed("gateway", "viewer"), ACK)]


async def test_what_comes_before_the_runner_is_found_waits_in_order(place: Place) -> None:
    signal = codec.encode(Signal(1, "run", b"\xc0"))
    for frame in (ATTACH, signal, ACK):
        place.bridge.received(frame)
    await turns(5)
    assert not place.socket.reading
    place.runner.set_result(place.relay)
    await turns(5)
    assert [body for _, body in place.relayed] == [ATTACH, signal, ACK]
    assert place.socket.reading


@pytest.mark.parametrize(("code", "done"), [(1000, True), (1001, False), (1006, False)])
async def test_the_runner_learns_that_the_page_is_gone_and_whether_it_is_done(code: int, done: bool) -> None:
    place = Place()
    await place.attach()
    place.bridge.lost(code)
    assert await place.end() is None
    assert place.relayed[-1] == (Closed("gateway", "viewer", done), b"")


async def test_a_session_that_the_runner_closes_with_1000_is_not_done() -> None:
    place = Place()
    await place.attach()
    place.bridge.close(1000, "the page has attached again")
    assert await place.end() == (1000, "the page has attached again")
    assert place.relayed[-1] == (Closed("gateway", "viewer", False), b"")


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        ([None], 1003, "only binary messages are understood"),
        ([b"\xc1"], 4000, "frame does not decode"),
        ([ACK], 4000, "the first message is not attach"),
        ([ATTACH + ACK], 4000, "the first message is not attach"),
        ([ATTACH, ATTACH], 4000, "attach came twice"),
        ([ATTACH, ACK + ATTACH], 4000, "attach came twice"),
    ],
)
@pytest.mark.parametrize("found", [True, False])
async def test_what_a_page_may_not_say_closes_it(
    messages: list[bytes | None], code: int, reason: str, found: bool
) -> None:
    place = Place()
    if found:
        place.runner.set_result(place.relay)
    for message in messages:
        place.bridge.received(message)
        await turns(5)
    if not found:
        place.runner.set_result(place.relay)
    ended = await place.end()
    assert ended is not None
    assert ended[0] == code
    assert reason in ended[1]
    place.bridge.received(ACK)
    place.bridge.deliver(b"late")
    assert place.socket.sent == []
    assert [type(envelope) for envelope, _ in place.relayed] in ([], [Opened, Closed])


async def test_a_page_that_says_nothing_is_closed_with_4008(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridges, "ATTACH_PATIENCE", 0.01)
    place = Place()
    assert await place.end() == (4008, "no attach message within 0.01 s")
    assert place.relayed == []


async def test_a_page_that_goes_before_it_attached_is_nobodys_business() -> None:
    place = Place()
    await turns(2)
    place.bridge.lost(1001)
    await place.end()
    assert place.relayed == []


async def test_a_page_whose_runner_is_not_to_be_had_is_closed_as_its_finder_says() -> None:
    place = Place()
    place.bridge.received(ATTACH)
    place.runner.set_exception(ConnectionEndError(1013, "there is no runner now"))
    assert await place.end() == (1013, "there is no runner now")


async def test_what_comes_in_one_turn_leaves_in_two_frames_of_which_the_first_does_not_wait(place: Place) -> None:
    for frame in (b"a", b"b", b"c"):
        place.bridge.deliver(frame)
    assert place.socket.sent == [b"a"]
    await turns(2)
    assert place.socket.sent == [b"a", b"bc"]
    place.bridge.deliver(b"d")
    assert place.socket.sent == [b"a", b"bc", b"d"]


async def test_frames_wait_while_the_page_reads_and_are_joined_up_to_the_limit(place: Place) -> None:
    place.socket.writable = False
    place.bridge.paused(100_000)
    frames = [bytes([number]) * (FRAME_LIMIT // 3) for number in range(7)] + [bytes(FRAME_LIMIT * 2), b"end"]
    for frame in frames:
        place.bridge.deliver(frame)
    await turns(2)
    assert place.socket.sent == []
    place.socket.writable = True
    place.bridge.resumed()
    assert [len(frame) for frame in place.socket.sent] == [63_999, 63_999, 21_333, 128_000, 3]
    assert b"".join(place.socket.sent) == b"".join(frames)


async def test_a_backlog_that_is_full_closes_the_page_and_is_let_go_of() -> None:
    place = Place()
    await place.attach()
    place.socket.writable = False
    for _ in range(BACKLOG // 2**20):
        place.bridge.deliver(bytes(2**20))
    assert place.socket.closed is None
    place.bridge.deliver(b"one more")
    assert await place.end() == (4008, "the page does not read what it is sent")


async def test_a_frame_larger_than_the_backlog_waits_alone(place: Place) -> None:
    place.socket.writable = False
    place.bridge.deliver(bytes(BACKLOG + 1))
    assert place.socket.closed is None
    place.bridge.deliver(b"one more")
    assert place.socket.closed == (4008, "the page does not read what it is sent")


async def test_the_bytes_that_left_make_room(place: Place) -> None:
    for _ in range(5):
        place.socket.writable = False
        place.bridge.deliver(bytes(BACKLOG // 2))
        place.bridge.deliver(bytes(BACKLOG // 2))
        place.socket.writable = True
        place.bridge.resumed()
    assert place.socket.closed is None
    assert sum(map(len, place.socket.sent)) == 5 * BACKLOG


async def test_a_page_that_does_not_read_is_closed_when_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridges, "WRITE_PATIENCE", 0.01)
    place = Place()
    await place.attach()
    place.bridge.paused(100)
    assert await place.end() == (4008, "the page does not read what it is sent")


async def test_patience_counts_the_bytes_that_wait_and_ends_when_the_page_has_read(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridges, "WRITE_PATIENCE", 0.0)
    place.bridge.paused(3_600 * bridges.SLOWEST)
    await asyncio.sleep(0.02)
    assert place.socket.closed is None
    place.bridge.resumed()
    place.bridge.paused(0)
    place.bridge.resumed()
    await asyncio.sleep(0.02)
    assert place.socket.closed is None


async def test_closing_waits_for_what_was_delivered_before() -> None:
    place = Place()
    await place.attach()
    place.socket.writable = False
    place.bridge.deliver(b"last")
    place.bridge.close(1012, "restart")
    place.bridge.deliver(b"too late")
    await turns(2)
    assert place.socket.closed is None
    place.socket.writable = True
    place.bridge.resumed()
    assert await place.end() == (1012, "restart")
    assert place.socket.sent == [b"last"]


async def test_a_task_that_is_cancelled_tells_the_runner_all_the_same() -> None:
    place = Place()
    await place.attach()
    place.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await place.running
    assert place.relayed[-1] == (Closed("gateway", "viewer", False), b"")


def test_only_what_a_websocket_has_is_asked_of_it() -> None:
    public: set[Any] = {name for name in vars(Socket) if not name.startswith("_")}
    assert public <= set(dir(WebSocket))
