"""What only the bus over ZeroMQ can meet: versions, addresses in use, one lost connection of several."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread

import pytest
import zmq

from databench.bus.address import addresses, free_ports
from databench.bus.contract import Bus
from databench.bus.zeromq import QUEUE, ZeroMQBus, connector
from databench.errors import BusError, ConfigError
from databench.wire.messages import SUBPROTOCOL
from databench_broker.broker import Broker
from tests.bus.recorder import Recorder


class HalfBroker:
    """The signal plane of a broker, whose two sockets come and go one by one.

    All sockets belong to its thread, which does what it is told in between. Each has a context of its
    own, whose end is the moment when its address is free.
    """

    def __init__(self, bus: str) -> None:
        self._where = addresses(bus)
        self._orders: SimpleQueue[tuple[Callable[[], None], Event]] = SimpleQueue()
        self._inward: zmq.Socket[bytes] | None = None
        self._outward: zmq.Socket[bytes] | None = None
        self._ended = False
        self.subscribed: list[bytes] = []
        self.passed_on: list[bytes] = []
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended:
            for socket in (self._inward, self._outward):
                if socket is not None and socket.poll(5):
                    self._pass_on(socket)
            while not self._orders.empty():
                order, done = self._orders.get()
                order()
                done.set()

    def _pass_on(self, socket: "zmq.Socket[bytes]") -> None:
        frames = socket.recv_multipart()
        if socket is self._outward:
            self.subscribed += frames
        elif self._outward is not None:
            self._outward.send_multipart(frames)
            self.passed_on.append(frames[0])

    def _order(self, order: Callable[[], None]) -> None:
        done = Event()
        self._orders.put((order, done))
        done.wait()

    def bind_inward(self) -> None:
        def order() -> None:
            self._inward = zmq.Context().socket(zmq.XSUB)
            self._inward.bind(self._where.inward)
            self._inward.send(b"\x01")

        self._order(order)

    def bind_outward(self, version: str = SUBPROTOCOL) -> None:
        def order() -> None:
            self._outward = zmq.Context().socket(zmq.XPUB)
            self._outward.setsockopt(zmq.XPUB_WELCOME_MSG, version.encode())
            self._outward.bind(self._where.outward)

        self._order(order)

    def until_subscribed(self, topic: bytes) -> None:
        """Return when somebody has subscribed, and so has been welcomed."""
        while topic not in self.subscribed:
            self._order(lambda: None)

    def until_passed_on(self, topic: bytes) -> None:
        while topic not in self.passed_on:
            self._order(lambda: None)

    def close_inward(self) -> None:
        def order() -> None:
            if self._inward is not None:
                self._inward.context.destroy(linger=0)
                self._inward = None

        self._order(order)

    def close_outward(self) -> None:
        def order() -> None:
            if self._outward is not None:
                self._outward.context.destroy(linger=0)
                self._outward = None

        self._order(order)

    def close(self) -> None:
        self.close_inward()
        self.close_outward()
        self._ended = True
        self._thread.join()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/bus"


@pytest.fixture
def half(address: str) -> Iterator[HalfBroker]:
    broker = HalfBroker(address)
    broker.bind_inward()
    broker.bind_outward()
    yield broker
    broker.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def bus(address: str, recorder: Recorder) -> AsyncIterator[Bus]:
    joining = connector(address)("s", [b"t/"], recorder)
    yield joining
    await joining.close()


async def test_a_broker_of_another_version_is_refused_naming_both(
    half: HalfBroker, address: str, recorder: Recorder
) -> None:
    half.close_outward()
    half.bind_outward("databench.99")
    bus = connector(address)("s", [b"t/"], recorder)
    with pytest.raises(BusError, match=r"speaks databench\.99, this service databench\.1"):
        await bus.joined()
    await asyncio.to_thread(half.until_passed_on, b"i/s/")
    assert not bus.up
    assert recorder.changes == []
    await bus.close()


async def test_a_broker_that_comes_back_with_another_version_is_named_in_the_log(
    half: HalfBroker, bus: Bus, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    await bus.joined()
    half.close_inward()
    half.close_outward()
    await recorder.until(lambda: recorder.changes == ["up", "down"])
    half.bind_outward("databench.99")
    with caplog.at_level(logging.ERROR), pytest.raises(BusError):
        await bus.joined()
    assert "databench.99" in caplog.text


async def test_it_comes_up_again_when_only_the_publishing_connection_was_lost(
    half: HalfBroker, bus: Bus, recorder: Recorder
) -> None:
    await bus.joined()
    half.close_inward()
    await recorder.until(lambda: "down" in recorder.changes)
    half.bind_inward()
    await bus.joined()
    assert recorder.changes == ["up", "down", "up"]


async def test_a_lost_subscribing_connection_is_noticed_when_it_is_back(
    half: HalfBroker, bus: Bus, recorder: Recorder
) -> None:
    await bus.joined()
    half.close_outward()
    half.bind_outward()
    await recorder.until(lambda: recorder.changes == ["up", "down", "up"])
    assert bus.up


async def test_it_is_not_joined_before_both_directions_are(half: HalfBroker, address: str, recorder: Recorder) -> None:
    half.close_inward()
    bus = connector(address)("s", [b"t/"], recorder)
    waiting = asyncio.ensure_future(bus.joined())
    await asyncio.to_thread(half.until_subscribed, b"\x01t/")
    assert not bus.up
    assert not waiting.done()
    half.bind_inward()
    await waiting
    assert bus.up
    await bus.close()


async def test_more_than_the_high_water_mark_is_dropped_and_not_waited_for(half: HalfBroker, bus: Bus) -> None:
    await bus.joined()
    for _ in range(3 * QUEUE):
        bus.publish(b"t/", b"x" * 10)
    assert bus.up


def dispatch_for_50_ms(bus: Bus) -> None:
    """Send in one turn of the loop, spread over the time that an answer takes."""
    for _ in range(50):
        time.sleep(0.001)
        bus.dispatch(b"more")


async def test_what_arrives_while_something_is_sent_is_heard(address: str, bus: Bus, recorder: Recorder) -> None:
    # Sending takes the wake-up of what has arrived on its socket: without a look at it nobody would ever hear it.
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind(addresses(address).chunks)
        bus.dispatch(b"question")
        sender, *_ = router.recv_multipart()
        router.send_multipart([sender, b"answer", b""])
        dispatch_for_50_ms(bus)
        await recorder.until(lambda: recorder.chunks == [(b"answer", b"")])
        context.destroy(linger=0)


async def test_a_wake_up_for_nothing_takes_none_of_a_message(half: HalfBroker, bus: Bus, recorder: Recorder) -> None:
    await bus.joined()
    assert isinstance(bus, ZeroMQBus)
    for number in range(1, 51):
        bus._drain_subscriber()
        bus.publish(b"t/", b"message")
        bus._drain_subscriber()
        await recorder.until(lambda many=number: len(recorder.signals) == many)  # type: ignore[misc]


async def test_closing_leaves_no_reader_behind(half: HalfBroker, address: str, recorder: Recorder) -> None:
    loop = asyncio.get_running_loop()
    before = set(loop._selector.get_map())  # type: ignore[attr-defined]
    bus = connector(address)("other", [], recorder)
    await bus.joined()
    assert len(loop._selector.get_map()) == len(before) + 3  # type: ignore[attr-defined]
    await bus.close()
    assert set(loop._selector.get_map()) == before  # type: ignore[attr-defined]


async def test_a_place_that_never_joined_can_be_left(address: str, recorder: Recorder) -> None:
    bus = connector(address)("other", [], recorder)
    waiting = asyncio.ensure_future(bus.joined())
    await bus.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_error_in_a_listener_does_not_stop_the_bus(
    half: HalfBroker, bus: Bus, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def signalled(topic: bytes, frames: list[bytes]) -> None:
        monkeypatch.undo()
        raise ZeroDivisionError

    await bus.joined()
    monkeypatch.setattr(recorder, "signalled", signalled)
    bus.publish(b"t/", b"1")
    bus.publish(b"t/", b"2")
    await recorder.until(lambda: recorder.signals == [(b"t/", [b"2"])])
    assert "a message from the bus could not be handled" in caplog.text


@pytest.mark.parametrize("suffix", ["chunks", "in", "out"])
async def test_an_address_in_use_is_named(suffix: str, address: str) -> None:
    with zmq.Context() as context, context.socket(zmq.PULL) as taken:
        first = free_ports(3)
        port = first + ["chunks", "in", "out"].index(suffix)
        taken.bind(f"tcp://127.0.0.1:{port}")
        with pytest.raises(ConfigError, match=f"the bus cannot use tcp://127.0.0.1:{port}: Address already in use"):
            Broker(f"tcp://127.0.0.1:{first}", "b")


async def test_an_address_that_no_socket_takes_is_named(recorder: Recorder) -> None:
    with pytest.raises(ConfigError, match="the bus cannot be joined at ipc://"):
        connector(f"ipc:///tmp/{'x' * 200}")("s", [], recorder)


async def test_a_broker_says_which_address_no_socket_takes() -> None:
    with pytest.raises(ConfigError, match="the bus cannot use ipc://"):
        Broker(f"ipc:///tmp/{'x' * 200}", "b")
