"""The engine on the bus: faults between runner and broker."""

import asyncio
from types import ModuleType

import pytest

from databench import jobs
from databench.bus.memory import MemoryBroker
from databench.engines import bus as bus_engine
from databench.engines.bus import AT_BROKER, BYTES_AT_BROKER, BusEngine
from databench.engines.contract import Order
from databench.jobs import JobScope, current_scope
from databench.segments import UnreadableError, borrow
from databench.wire import codec
from databench.wire.chunks import Failure
from databench.wire.messages import (
    PROTOCOL_VERSION,
    TO_BROKER,
    Beat,
    Cancel,
    Capacity,
    Done,
    Failed,
    Join,
    Joined,
    Leave,
    Message,
    Submit,
    Unknown,
)
from databench.wire.parts import Source
from databench.wire.references import SHARED, Reference


class Recorder:
    """A bus that keeps what was sent."""

    def __init__(self) -> None:
        self.up = True
        self.sent: list[Message] = []
        self.frames: list[bytes] = []
        self.said = asyncio.Event()

    async def joined(self) -> None: ...

    def publish(self, topic: bytes, *frames: bytes) -> None: ...

    def dispatch(self, envelope: bytes, payload: bytes = b"") -> None:
        self.sent += codec.decode(envelope, TO_BROKER)
        self.frames.append(payload)
        self.said.set()

    async def close(self) -> None: ...

    async def hears(self, message: Message) -> None:
        """Return when this is said."""
        while message not in self.sent:
            self.said.clear()
            await self.said.wait()

    def taken(self) -> list[Message]:
        sent, self.sent = self.sent, []
        return sent


class Answers:
    """A sink that keeps what it was given."""

    def __init__(self) -> None:
        self.got: list[tuple[int, str]] = []
        self.payload: Source | None = None

    def done(self, chunk: int, seconds: float, payload: Source) -> None:
        self.payload = payload
        self.got.append((chunk, "done"))

    def failed(self, chunk: int, reason: str, payload: bytes) -> None:
        self.got.append((chunk, reason))


JOIN = Join("runner", "r1", PROTOCOL_VERSION, 0)


def tell(engine: BusEngine, *messages: Message) -> None:
    for message in messages:
        engine.dispatched(codec.encode(message), b"")


async def turn() -> None:
    """Let the loop do what was ordered."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def submit(engine: BusEngine, sink: Answers, *chunks: int) -> list[Message]:
    for chunk in chunks:
        engine.submit(Order("j", "s", chunk, "m:f", 2, 1.5, -1), b"", sink)
    return [Submit("j", chunk, "m:f", 2, 1.5, "s", codec.fold(-1), b"") for chunk in chunks]


async def test_chunks_wait_until_the_broker_has_taken_the_runner_in() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    await engine.start()
    submits = submit(engine, sink, 0, 1)
    await turn()
    assert bus.taken() == [JOIN]
    tell(engine, Joined("b1"), Capacity(3))
    assert bus.taken() == submits
    assert engine.capacity == 3
    await engine.stop()
    assert bus.taken() == [Leave()]


async def test_unanswered_chunks_go_to_the_next_broker_and_doubled_answers_are_dropped() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    await engine.start()
    tell(engine, Joined("b1"))
    submits = submit(engine, sink, 0, 1, 2)
    await turn()
    tell(engine, Done("j", 0, 0.1, b""))
    bus.taken()
    engine.bus_down()
    assert engine.capacity == 0
    engine.bus_up()
    tell(engine, Joined("b2"))
    assert bus.taken() == [JOIN, *submits[1:]]
    tell(engine, Done("j", 0, 0.1, b""), Done("j", 1, 0.1, b""), Failed("j", 2, "lost", b""), Done("j", 1, 0.1, b""))
    assert sink.got == [(0, "done"), (1, "done"), (2, "lost")]
    await engine.stop()


async def test_a_broker_that_has_lost_the_runner_is_joined_again_once() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    await engine.start()
    tell(engine, Joined("b1"))
    submits = submit(engine, sink, 0)
    await turn()
    bus.taken()
    tell(engine, Unknown(), Unknown())
    assert bus.taken() == [JOIN]
    tell(engine, Joined("b1"))
    assert bus.taken() == submits
    await engine.stop()


async def test_a_join_that_is_lost_is_repeated_since_the_broker_itself_says_that_it_has_had_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bus_engine, "BEAT", 0.01)
    monkeypatch.setattr(bus_engine, "JOIN_AGAIN", 10**9)
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    await engine.start()
    submits = submit(engine, sink, 0)
    await bus.hears(Beat())
    assert bus.taken() == [JOIN, Beat()]
    tell(engine, Unknown())
    await bus.hears(JOIN)
    tell(engine, Joined("b1"))
    assert [message for message in bus.taken() if message != Beat()] == [JOIN, *submits]
    await engine.stop()


async def test_a_cancelled_job_is_forgotten_here_and_there() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    await engine.start()
    tell(engine, Joined("b1"))
    submit(engine, sink, 0)
    await turn()
    bus.taken()
    engine.cancel("j")
    engine.cancel("finished long ago")
    await turn()
    assert bus.taken() == [Cancel("j")]
    tell(engine, Done("j", 0, 0.1, b""))
    assert sink.got == []
    await engine.stop()


async def test_no_more_chunks_are_at_the_broker_than_it_takes() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    await engine.start()
    tell(engine, Joined("b1"))
    submits = submit(engine, sink, *range(AT_BROKER + 5))
    await turn()
    assert bus.taken()[1:] == submits[:AT_BROKER]
    tell(engine, Done("j", 7, 0.1, b""))
    assert bus.taken() == [submits[AT_BROKER]]
    await engine.stop()


async def test_no_more_bytes_are_at_the_broker_than_a_limit_but_a_larger_chunk_goes_alone() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    await engine.start()
    tell(engine, Joined("b1"))
    half, large = bytes(BYTES_AT_BROKER // 2), bytes(BYTES_AT_BROKER + 1)
    for chunk, payload in enumerate((half, half, b"small", large, b"small")):
        engine.submit(Order("j", "s", chunk, "m:f"), payload, sink)
    await turn()
    assert chunks(bus) == [0, 1]
    tell(engine, Done("j", 0, 0.1, b""))
    assert chunks(bus) == [2]
    tell(engine, Done("j", 1, 0.1, b""), Done("j", 2, 0.1, b""))
    assert chunks(bus) == [3]
    tell(engine, Failed("j", 3, "raised", b""))
    assert chunks(bus) == [4]
    await engine.stop()


def chunks(bus: Recorder) -> list[int]:
    return [message.chunk for message in bus.taken() if isinstance(message, Submit)]


async def large(engine: BusEngine, bus: Recorder, sink: Answers) -> Reference:
    """Have a large chunk submitted; return the reference that travelled."""
    await engine.start()
    tell(engine, Joined("b1"))
    engine.submit(Order("j", "s", 0, "m:f"), engine.hold("m:f", LARGE), sink)
    await turn()
    return referred(bus.taken()[-1])


def referred(message: Message) -> Reference:
    assert isinstance(message, Submit)
    reference = Reference.of(message.payload or b"")
    assert reference is not None
    return reference


LARGE = [b"c" * SHARED]
NOT_HERE = Failed("j", 0, "unreadable", Failure(None, "Unreadable", "no such file", "").to_bytes())


async def test_a_large_chunk_travels_as_a_reference_and_its_answer_comes_as_one() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    with borrow(await large(engine, bus, sink)) as borrowed:
        assert borrowed.payload[:] == LARGE[0]
        answer = borrowed.answer([b"r" * SHARED])
    tell(engine, Done("j", 0, 0.1, answer))
    assert sink.got == [(0, "done")]
    assert sink.payload is not None
    assert sink.payload[:] == b"r" * SHARED
    await engine.stop()


async def test_a_chunk_that_a_worker_cannot_read_goes_again_in_full_and_so_do_those_after_it() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    await large(engine, bus, sink)
    tell(engine, NOT_HERE)
    assert (sink.got, bus.frames[-1]) == ([], LARGE[0])
    tell(engine, Done("j", 0, 0.1, b""))
    assert sink.got == [(0, "done")]
    assert engine.hold("m:f", LARGE) == LARGE[0]
    await engine.stop()


async def test_a_worker_that_cannot_read_what_was_sent_in_full_has_failed() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    await large(engine, bus, sink)
    tell(engine, NOT_HERE, NOT_HERE)
    assert sink.got == [(0, "refused")]
    await engine.stop()


@pytest.mark.parametrize("garbage", [Reference(1, 0, "a", 1, 1).to_bytes(), b"\x95garbage"])
async def test_a_reference_to_no_answer_is_refused_and_the_chunk_goes_again(garbage: bytes) -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    await large(engine, bus, sink)
    tell(engine, Done("j", 0, 0.1, garbage))
    assert (sink.got, bus.frames[-1]) == ([], LARGE[0])
    tell(engine, Done("j", 0, 0.1, garbage))
    assert sink.got == [(0, "refused")]
    await engine.stop()


async def test_a_broker_that_is_new_gets_the_reference_again() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    reference = await large(engine, bus, sink)
    engine.bus_down()
    engine.bus_up()
    tell(engine, Joined("b2"))
    assert referred(bus.taken()[-1]) == reference
    await engine.stop()


async def test_the_memory_of_cancelled_chunks_is_used_again() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    reference = await large(engine, bus, sink)
    engine.cancel("j")
    await turn()
    engine.submit(Order("k", "s", 0, "m:f"), engine.hold("m:f", LARGE), sink)
    await turn()
    assert referred(bus.taken()[-1]).name == reference.name
    with pytest.raises(UnreadableError):
        borrow(reference)
    await engine.stop()


async def test_bytes_in_shared_memory_count_at_the_broker() -> None:
    bus, sink = Recorder(), Answers()
    engine = BusEngine("r1", bus)
    await engine.start()
    tell(engine, Joined("b1"))
    half = [bytes(BYTES_AT_BROKER // 2)]
    for chunk in range(3):
        engine.submit(Order("j", "s", chunk, "m:f"), engine.hold("m:f", half), sink)
    await turn()
    assert chunks(bus) == [0, 1]
    await engine.stop()


async def test_garbage_from_the_broker_is_dropped() -> None:
    engine = BusEngine("r1", Recorder())
    engine.dispatched(b"\xc1", b"")
    assert engine.capacity == 0


async def test_a_job_outlives_its_broker(bus_engine: BusEngine, broker: MemoryBroker, chores: ModuleType) -> None:
    current_scope.set(JobScope(bus_engine))
    results = []
    async for x in jobs.map(chores.double, range(300), chunk=1):
        results.append(x)
        if len(results) in (50, 150):
            broker.fail()
            broker.recover()
    assert sorted(results) == list(range(0, 600, 2))
