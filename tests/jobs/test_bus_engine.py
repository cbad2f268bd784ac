"""The engine on the bus: faults between runner and broker."""

import asyncio
from types import ModuleType

from databench import jobs
from databench.bus.memory import MemoryBroker
from databench.engines.bus import AT_BROKER, BYTES_AT_BROKER, BusEngine
from databench.engines.contract import Order
from databench.jobs import JobScope, current_scope
from databench.wire import codec
from databench.wire.messages import (
    PROTOCOL_VERSION,
    TO_BROKER,
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


class Recorder:
    """A bus that keeps what was sent."""

    def __init__(self) -> None:
        self.up = True
        self.sent: list[Message] = []

    async def joined(self) -> None: ...

    def publish(self, topic: bytes, *frames: bytes) -> None: ...

    def dispatch(self, envelope: bytes, payload: bytes = b"") -> None:
        self.sent += codec.decode(envelope, TO_BROKER)

    async def close(self) -> None: ...

    def taken(self) -> list[Message]:
        sent, self.sent = self.sent, []
        return sent


class Answers:
    """A sink that keeps what it was given."""

    def __init__(self) -> None:
        self.got: list[tuple[int, str]] = []

    def done(self, chunk: int, seconds: float, payload: bytes) -> None:
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
