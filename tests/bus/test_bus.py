"""The contract of the bus, over both of its implementations; the one over ZeroMQ with a real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from databench.bus.contract import Bus, Connect
from databench.bus.memory import MemoryBroker
from databench.bus.zeromq import connector
from databench.wire import codec
from databench.wire.messages import FROM_BROKER, PROTOCOL_VERSION, Beat, Capacity, Join, Joined, Refused, Unknown
from databench_broker.broker import Broker
from tests.bus.recorder import Recorder


class Backend(Protocol):
    """A broker that can be stopped and started, and how to join it."""

    connect: Connect

    def stop(self) -> None: ...

    def start(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self._broker = MemoryBroker("b")
        self.connect: Connect = self._broker.connect

    def stop(self) -> None:
        self._broker.fail()

    def start(self) -> None:
        self._broker.recover()


class OverZeroMQ:
    def __init__(self, bus: str) -> None:
        self._bus = bus
        self._broker: Broker | None = None
        self.connect = connector(bus)
        self.start()

    def stop(self) -> None:
        if self._broker is not None:
            self._broker.close()
            self._broker = None

    def start(self) -> None:
        self._broker = Broker(self._bus, "b")


@pytest.fixture(params=["memory", "zeromq"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    if request.param == "memory":
        yield InMemory()
        return
    over_zeromq = OverZeroMQ(f"ipc://{tmp_path}/bus")
    yield over_zeromq
    over_zeromq.stop()


@pytest.fixture(autouse=True)
async def nothing_is_left_over() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    assert asyncio.all_tasks() <= before | {asyncio.current_task()}


@asynccontextmanager
async def joined(backend: Backend, identity: str, *topics: bytes) -> AsyncIterator[tuple[Bus, Recorder]]:
    recorder = Recorder()
    bus = backend.connect(identity, topics, recorder)
    try:
        await bus.joined()
        yield bus, recorder
    finally:
        await bus.close()


async def test_who_has_joined_misses_nothing(backend: Backend) -> None:
    for number in range(50):
        async with (
            joined(backend, f"subscriber{number}", b"t/") as (_, recorder),
            joined(backend, f"publisher{number}") as (publisher, _),
        ):
            publisher.publish(b"t/", b"the first")
            await recorder.until(lambda heard=recorder.signals: bool(heard))  # type: ignore[misc]
            assert recorder.signals == [(b"t/", [b"the first"])]


async def test_one_who_joins_later_hears_an_older_publisher(backend: Backend) -> None:
    async with joined(backend, "publisher") as (publisher, _):
        for number in range(50):
            async with joined(backend, f"subscriber{number}", b"t/") as (_, recorder):
                publisher.publish(b"t/", b"the first")
                await recorder.until(lambda heard=recorder.signals: bool(heard))  # type: ignore[misc]


async def test_signals_keep_their_order(backend: Backend) -> None:
    async with joined(backend, "s", b"t/") as (_, recorder), joined(backend, "p") as (publisher, _):
        for number in range(5_000):
            publisher.publish(b"t/", str(number).encode(), b"body")
        await recorder.until(lambda: len(recorder.signals) == 5_000)
    assert recorder.signals == [(b"t/", [str(number).encode(), b"body"]) for number in range(5_000)]


async def test_a_topic_is_a_prefix(backend: Backend) -> None:
    async with joined(backend, "s", b"a/", b"b/c/") as (_, recorder), joined(backend, "p") as (publisher, _):
        for topic in (b"a", b"a/", b"a/x/", b"b/", b"b/c/d", b"c/", b"a/end"):
            publisher.publish(topic, b"")
        await recorder.until(lambda: (b"a/end", [b""]) in recorder.signals)
    assert [topic for topic, _ in recorder.signals] == [b"a/", b"a/x/", b"b/c/d", b"a/end"]


@pytest.mark.parametrize("frames", [[b""], [b"a", b"", b"b"], [b"head", bytes(70_000)], [bytes(10**6), b"tail"]])
async def test_frames_arrive_as_they_were_however_many_and_large(backend: Backend, frames: list[bytes]) -> None:
    async with joined(backend, "s", b"t/") as (_, recorder), joined(backend, "p") as (publisher, _):
        publisher.publish(b"t/", *frames)
        publisher.publish(b"t/", b"end")
        await recorder.until(lambda: len(recorder.signals) == 2)
    assert recorder.signals == [(b"t/", frames), (b"t/", [b"end"])]


async def test_two_who_answer_each_other_never_wait_for_a_wake_up_that_was_taken(backend: Backend) -> None:
    async with joined(backend, "a", b"a/") as (a, of_a), joined(backend, "b", b"b/") as (b, of_b):
        for number in range(1, 500):
            a.publish(b"b/", b"there")
            a.dispatch(codec.encode(Beat()))
            await of_b.until(lambda many=number: len(of_b.signals) == many)  # type: ignore[misc]
            b.publish(b"a/", b"and back")
            b.dispatch(codec.encode(Beat()))
            await of_a.until(lambda many=number: len(of_a.signals) == many)  # type: ignore[misc]


async def test_who_publishes_hears_itself(backend: Backend) -> None:
    async with joined(backend, "s", b"t/") as (bus, recorder):
        bus.publish(b"t/", b"1")
        assert recorder.signals == [], "never inside the sender's call"
        await recorder.until(lambda: bool(recorder.signals))


async def test_everybody_who_subscribed_gets_a_signal(backend: Backend) -> None:
    async with joined(backend, "s1", b"t/") as (bus, one), joined(backend, "s2", b"t/") as (_, other):
        bus.publish(b"t/", b"1")
        await one.until(lambda: bool(one.signals))
        await other.until(lambda: bool(other.signals))


async def test_what_is_dispatched_reaches_the_broker_and_its_answer_comes_back(backend: Backend) -> None:
    async with joined(backend, "runner:r:1") as (bus, recorder):
        bus.dispatch(codec.encode(Join("runner", "r", PROTOCOL_VERSION, 0)))
        await recorder.until(lambda: bool(recorder.chunks))
    [(envelopes, _)] = recorder.chunks
    assert codec.decode(envelopes, FROM_BROKER) == [Joined("b"), Capacity(0)]


async def test_the_broker_answers_the_one_who_asked(backend: Backend) -> None:
    async with joined(backend, "r1") as (one, first), joined(backend, "r2") as (other, second):
        one.dispatch(codec.encode(Beat()))
        other.dispatch(codec.encode(Join("runner", "r", 99, 0)))
        await first.until(lambda: bool(first.chunks))
        await second.until(lambda: bool(second.chunks))
    assert [codec.decode_one(envelope, FROM_BROKER) for envelope, _ in first.chunks] == [Unknown()]
    refused = codec.decode_one(second.chunks[0][0], FROM_BROKER)
    assert isinstance(refused, Refused)
    assert "99" in refused.reason


async def test_who_joins_is_told_that_the_bus_is_up(backend: Backend) -> None:
    async with joined(backend, "s") as (bus, recorder):
        assert bus.up
        await recorder.until(lambda: recorder.changes == ["up"])
    assert not bus.up


async def test_a_lost_broker_is_noticed_and_its_return_too(backend: Backend) -> None:
    async with joined(backend, "s", b"t/") as (bus, recorder), joined(backend, "p") as (publisher, other):
        for _ in range(3):
            backend.stop()
            await recorder.until(lambda: recorder.changes[-1:] == ["down"])
            await other.until(lambda: other.changes[-1:] == ["down"])
            assert not bus.up
            publisher.publish(b"t/", b"lost")
            backend.start()
            await asyncio.gather(bus.joined(), publisher.joined())
            assert bus.up
            publisher.publish(b"t/", b"heard")
            await recorder.until(lambda: bool(recorder.signals))
            assert recorder.signals.pop() == (b"t/", [b"heard"])
            publisher.dispatch(codec.encode(Beat()))
            await other.until(lambda: bool(other.chunks))
            other.chunks.clear()


async def test_what_is_sent_after_closing_is_lost_in_silence(backend: Backend) -> None:
    async with joined(backend, "s", b"t/") as (bus, recorder):
        pass
    bus.publish(b"t/", b"1")
    bus.dispatch(codec.encode(Beat()))
    await bus.close()
    assert (recorder.signals, recorder.chunks) == ([], [])


async def test_what_was_said_last_still_leaves(backend: Backend) -> None:
    async with joined(backend, "s", b"t/") as (_, recorder):
        async with joined(backend, "p") as (publisher, _):
            for _ in range(100):
                publisher.publish(b"t/", b"x" * 10_000)
        await recorder.until(lambda: len(recorder.signals) == 100)
