"""Connections of the chunk plane that break or fall silent while both of their ends live."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from databench.bus import address
from tests.chaos.proxy import Relay, Way
from tests.worker.plant import Answer, Plant

Pipe = Any
FAR = "/" + "x" * address.LONGEST_IPC
"""A folder in which no socket can be, so that the bus is TCP on three ports; the first is the chunk plane's."""


class Wire:
    """What a service far away has between it and the broker at `bus`."""

    def __init__(self, bus: str) -> None:
        self.at = address.local(FAR)
        self.relays = [
            Relay(f"tcp://127.0.0.1:{to}", port=at) for to, at in zip(_ports(bus), _ports(self.at), strict=True)
        ]
        self.chunks = self.relays[0]

    def tear(self) -> None:
        """Break the connection of the chunk plane, and no other; it may come back at once."""
        self.chunks.drop()
        self.chunks.resume()


def _ports(bus: str) -> range:
    first = int(bus.rpartition(":")[2])
    return range(first, first + 3)


@pytest.fixture
def bus() -> str:
    """The address of the bus."""
    return address.local(FAR)


@pytest.fixture
async def wire(bus: str) -> AsyncIterator[Wire]:
    """A wire to the broker."""
    wire = Wire(bus)
    async with AsyncExitStack() as stack:
        for relay in wire.relays:
            await stack.enter_async_context(relay)
        yield wire


def once(answers: list[Answer]) -> bool:
    return all(answer.count == 1 for answer in answers)


@pytest.mark.parametrize("way", Way)
async def test_chunks_and_answers_that_are_lost_on_the_wire_of_their_runner_come_again_and_once(
    bus: str, wire: Wire, chores: ModuleType, way: Way
) -> None:
    async with Plant(bus, wire.at) as plant:
        await plant.worker(2)
        first = [plant.submit(chores.double, x) for x in range(20)]
        await asyncio.gather(*first)
        for _ in range(3):
            wire.chunks.stall(way)
            lost = [plant.submit(chores.double, x) for x in range(20)]
            await wire.chunks.held(way)
            wire.tear()
            assert [await answer for answer in lost] == list(range(0, 40, 2))
            assert once(first + lost)


async def test_chunks_of_a_worker_whose_wire_is_torn_are_answered_once_and_it_comes_back(
    bus: str, wire: Wire, chores: ModuleType
) -> None:
    async with Plant(bus) as plant:
        await plant.worker()
        await plant.worker(1, "--bus", wire.at)
        answers = []
        for way in Way:
            wire.chunks.stall(way)
            answers += [plant.submit(chores.sleep, 0.02) for _ in range(20)]
            await wire.chunks.held(way)
            wire.tear()
            pids: set[int] = set()
            while len(pids) < 2:  # what was handed out before may be lost, but nothing is answered through the old wire
                pids |= {await answer for answer in [plant.submit(chores.sleep, 0.02) for _ in range(4)]}
        await asyncio.gather(*answers)
        assert once(answers)


async def test_the_chunks_of_a_host_that_falls_silent_run_elsewhere_and_its_late_answers_are_dropped(
    bus: str, wire: Wire, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    """No connection is closed: only that nothing is heard any more tells."""
    async with Plant(bus) as plant:
        await plant.worker(1, "--bus", wire.at)
        held = plant.submit(chores.hold_once, pipe.path, str(tmp_path / "marker"))
        first = await pipe.open()
        for relay in wire.relays:
            relay.stall()
        await plant.start_worker()
        assert await held != first
        for relay in wire.relays:
            relay.resume()
        await plant.until(lambda: plant.engine.capacity == 2)
        await pipe.ended()
        assert held.count == 1
