"""A bus in memory with its real dispatcher, real workers with real slot processes, and jobs to give them."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import pytest

from databench.bus.memory import MemoryBroker
from databench.engines.bus import BusEngine
from databench.engines.contract import Order
from databench.jobs import JobScope, current_scope
from databench.loading import load
from databench.wire.chunks import Calls
from databench_worker.crew import CrewPlan
from databench_worker.parent import Worker
from tests.e2e.server import eventually
from tests.worker.plant import CHORES, Answer


class Bench:
    """A runner with nothing but an engine, and the workers that a test starts."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.engine = BusEngine("r1", self.broker.connect("runner", (), self))
        self.workers: list[Worker] = []

    async def hire(
        self,
        name: str,
        slots: int = 1,
        folder: Path = CHORES,
        *,
        grace: float = 3.0,
        memory: int = 0,
        renew_after: int = 0,
        failed: Callable[[], object] = lambda: None,
    ) -> Worker:
        """Start a worker."""
        worker = Worker(CrewPlan(name, slots, folder, memory, renew_after), grace=grace, failed=failed)
        self.workers.append(worker)
        await worker.start(self.broker.connect(name, (), worker))
        return worker

    def submit(self, task: Callable[..., Any], *arguments: Any, **how: Any) -> Answer:
        """Submit one chunk with one item; `how` is what an Order may say."""
        answer = Answer()
        order = Order(secrets.token_hex(8), "group", 0, f"chores:{task.__name__}", **how)
        self.engine.submit(order, Calls([[list(arguments)]], star=True).to_bytes(), answer)
        return answer

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        """Nothing to hear."""

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Pass on."""
        self.engine.dispatched(envelope, payload)

    def bus_up(self) -> None:
        """Pass on."""
        self.engine.bus_up()

    def bus_down(self) -> None:
        """Pass on."""
        self.engine.bus_down()


@pytest.fixture(scope="session")
def chores() -> Iterator[ModuleType]:
    """The package of tasks, imported as runner and workers import it."""
    path = list(sys.path)
    load(CHORES)
    yield sys.modules["chores"]
    sys.path[:] = path


@pytest.fixture
async def bench(chores: ModuleType) -> AsyncIterator[Bench]:
    """The bench, with the scope of a handler set; no process is left behind."""
    bench = Bench()
    await bench.engine.start()
    scope = JobScope(bench.engine)
    current_scope.set(scope)
    yield bench
    scope.cancel_all()
    await bench.engine.stop()
    for worker in bench.workers:
        await worker.stop()


class Pipe:
    """A named pipe on which a task says that it runs; at its end all that had it open are gone."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        self._file: IO[str] | None = None

    async def open(self) -> int:
        """Return the process id of the task that runs, as soon as it does."""
        self._file = await asyncio.to_thread(open, self.path)
        return int(await asyncio.to_thread(self._file.readline))

    async def ended(self) -> None:
        """Return when the process that had opened the pipe is gone."""
        assert self._file is not None
        assert await asyncio.to_thread(self._file.read) == ""

    def close(self) -> None:
        """Let go of the pipe."""
        if self._file is not None:
            self._file.close()


class Gate:
    """Holds back tasks until it is opened, and knows which processes it holds."""

    def __init__(self, path: Path) -> None:
        self._marks, self._gate = path / "marks", path / "gate"
        self._marks.mkdir()
        self.arguments = (str(self._marks), str(self._gate))
        """Of the task `wait_for_gate`."""

    async def holds(self, count: int) -> None:
        """Return when so many processes wait."""
        await asyncio.to_thread(eventually, lambda: len(list(self._marks.iterdir())) == count)

    def open(self) -> None:
        """Let all of them go."""
        self._gate.touch()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """A gate for tasks."""
    return Gate(tmp_path)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    """A pipe for one task."""
    pipe = Pipe(tmp_path / "pipe")
    yield pipe
    pipe.close()
