"""How a worker is taken in, also where what is said gets lost; the broker is played where it matters."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from databench.errors import BusError
from databench.wire import codec
from databench.wire.messages import TO_BROKER, Beat, Join, Joined, Message, Refused, Unknown
from databench_worker import parent
from databench_worker.crew import CrewPlan
from databench_worker.parent import Worker

Bench = Any
CHORES = Path(__file__).parents[1] / "chores"


class Script:
    """A bus on which the test speaks for the broker, and hears what the worker says."""

    up = True

    def __init__(self) -> None:
        self.worker = Worker(CrewPlan("w1", 1, CHORES), grace=0.0)
        self.joins = 0
        self._said: asyncio.Queue[Message] = asyncio.Queue()

    async def joined(self) -> None: ...

    def publish(self, topic: bytes, *frames: bytes) -> None: ...

    async def close(self) -> None: ...

    def dispatch(self, envelope: bytes, payload: bytes = b"") -> None:
        for message in codec.decode(envelope, TO_BROKER):
            self.joins += isinstance(message, Join)
            self._said.put_nowait(message)

    def say(self, *messages: Message) -> None:
        """Have the broker say something."""
        self.worker.dispatched(codec.encode(*messages), b"")

    async def hears(self, kind: type[Message]) -> None:
        """Return when the worker says something of this kind."""
        while not isinstance(await self._said.get(), kind):
            pass


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    """A worker that was taken in."""
    script = Script()
    starting = asyncio.create_task(script.worker.start(script))
    await script.hears(Join)
    script.say(Joined("b1"))
    await starting
    yield script
    await script.worker.stop()


async def test_a_worker_that_the_broker_refuses_says_why() -> None:
    script = Script()
    starting = asyncio.create_task(script.worker.start(script))
    await script.hears(Join)
    script.say(Refused("versions differ"))
    with pytest.raises(BusError, match="versions differ"):
        await starting
    await script.worker.stop()


async def test_a_worker_that_the_broker_does_not_know_joins_again(script: Script) -> None:
    script.say(Unknown())
    await script.hears(Join)


async def test_a_join_that_is_lost_is_repeated_since_the_broker_itself_says_that_it_has_had_none(
    bench: Bench, chores: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent, "JOIN_AGAIN", 10**9)
    worker = Worker(CrewPlan("w1", 1, CHORES))
    bench.workers.append(worker)
    bus = bench.broker.connect("w1", (), worker)
    lost: list[bytes] = []

    def losing(envelope: bytes, payload: bytes = b"") -> None:
        if not lost and isinstance(codec.decode(envelope, TO_BROKER)[0], Join):
            lost.append(envelope)
        else:
            type(bus).dispatch(bus, envelope, payload)

    monkeypatch.setattr(bus, "dispatch", losing)
    await worker.start(bus)
    assert lost
    assert await bench.submit(chores.double, 1) == 2


async def test_what_a_slow_broker_says_of_messages_before_the_join_does_not_repeat_it(script: Script) -> None:
    """A second join would be another life to it, and what it gave to the first be lost."""
    script.say(Unknown(), Unknown())
    await script.hears(Join)
    script.say(Unknown())
    await script.hears(Beat)
    script.say(Unknown(), Joined("b1"))
    for _ in range(2):
        await script.hears(Beat)
    assert script.joins == 2
