"""Jobs over every engine: threads, and the bus in memory with a real dispatcher and a real worker."""

import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import pytest

from databench.bus.memory import MemoryBroker
from databench.engines.bus import BusEngine
from databench.engines.contract import Engine
from databench.engines.local import LocalEngine
from databench.jobs import JobScope, current_scope
from databench.loading import load
from databench_worker.crew import CrewPlan
from databench_worker.parent import Worker

CHORES = Path(__file__).parents[1] / "chores"


class Runner:
    """A service with nothing but an engine."""

    def __init__(self) -> None:
        self.engine: BusEngine | None = None

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        """Nothing to hear."""

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Pass on."""
        if self.engine is not None:
            self.engine.dispatched(envelope, payload)

    def bus_up(self) -> None:
        """Pass on."""
        if self.engine is not None:
            self.engine.bus_up()

    def bus_down(self) -> None:
        """Pass on."""
        if self.engine is not None:
            self.engine.bus_down()


@pytest.fixture(scope="session")
def chores() -> Iterator[ModuleType]:
    """The package of tasks, imported as runner and workers import it."""
    path = list(sys.path)
    load(CHORES)
    yield sys.modules["chores"]
    sys.path[:] = path


@pytest.fixture
def broker() -> MemoryBroker:
    """A bus within this process."""
    return MemoryBroker()


@asynccontextmanager
async def on_the_bus(broker: MemoryBroker) -> AsyncIterator[BusEngine]:
    """An engine with one worker of two slots."""
    runner, worker = Runner(), Worker(CrewPlan("w1", 2, CHORES))
    runner.engine = BusEngine("r1", broker.connect("runner", (), runner))
    bus = broker.connect("worker", (), worker)
    await runner.engine.start()
    await worker.start(bus)
    yield runner.engine
    await runner.engine.stop()
    await worker.stop()


@pytest.fixture
async def bus_engine(broker: MemoryBroker, chores: ModuleType) -> AsyncIterator[BusEngine]:
    """The engine on the bus."""
    async with on_the_bus(broker) as engine:
        yield engine


@pytest.fixture(params=["local", "bus"])
async def engine(request: pytest.FixtureRequest, broker: MemoryBroker, chores: ModuleType) -> AsyncIterator[Engine]:
    """Each engine in turn."""
    if request.param == "bus":
        async with on_the_bus(broker) as engine:
            yield engine
    else:
        with LocalEngine(2) as local:
            yield local


@pytest.fixture
def scope(engine: Engine) -> Iterator[JobScope]:
    """The scope of a handler, which is the current one in the test."""
    scope = JobScope(engine)
    token = current_scope.set(scope)
    yield scope
    scope.cancel_all()
    current_scope.reset(token)
