"""Broker and workers as processes of their own, and an engine here that gives them chunks."""

import asyncio
import os
import secrets
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from select import select
from typing import Any, Self

from databench.bus.service import LIFELINE
from databench.bus.zeromq import connector
from databench.engines.bus import BusEngine
from databench.engines.contract import Order
from databench.wire.chunks import Calls, Failure, Results
from databench.wire.parts import Source

CHORES = Path(__file__).parents[1] / "chores"


class Answer:
    """The sink of one chunk: await it for its only result, or for the reason and the failure."""

    def __init__(self) -> None:
        self.count = 0
        """How often it was answered."""
        self._answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @property
    def here(self) -> bool:
        """Whether it was answered."""
        return self.count > 0

    def done(self, chunk: int, seconds: float, payload: Source) -> None:
        """Take the results."""
        self._take(Results.from_bytes(payload).values[0])

    def failed(self, chunk: int, reason: str, payload: bytes) -> None:
        """Take the failure."""
        self._take((reason, Failure.from_bytes(payload)))

    def _take(self, answer: Any) -> None:
        self.count += 1
        if self.count == 1:
            self._answer.set_result(answer)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._answer.__await__()


class Plant:
    """Processes on a bus, for example in a folder; all end with it. The engine joins at `near`, if that is given."""

    def __init__(self, bus: str | Path, near: str = "", identity: str = "runner:plant") -> None:
        self.largest = 0
        """Bytes of the largest frame that came over the bus."""
        self._bus = f"ipc://{bus}/bus" if isinstance(bus, Path) else bus
        self._changed = asyncio.Event()
        self._processes: list[Process] = []
        # The services stop when the other end is closed, however this process ends.
        self._lifeline, self._held = os.pipe()
        self._place = connector(near or self._bus)(identity, (), self)
        self.engine = BusEngine(identity, self._place)

    async def start(self, kind: str, *options: str, through: Sequence[str] = ()) -> Process:
        """Start a service, `through` a command that starts others, and return its process, at once."""
        command = [*through, sys.executable, "-m", "databench", kind, "--bus", self._bus, *options]
        environment = {**os.environ, LIFELINE: str(self._lifeline)}
        process = await asyncio.create_subprocess_exec(*command, env=environment, pass_fds=[self._lifeline])
        self._processes.append(process)
        return process

    async def start_worker(self, slots: int = 1, *options: str) -> Process:
        """Start a worker and return its process at once."""
        return await self.start("worker", str(CHORES), "--slots", str(slots), *options)

    async def worker(self, slots: int = 1, *options: str) -> Process:
        """Start a worker and return its process as soon as its slots count; no other may come or go meanwhile."""
        before = self.engine.capacity
        process = await self.start_worker(slots, *options)
        await self.until(lambda: self.engine.capacity >= before + slots)
        return process

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that a message of the broker changes."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def submit(self, task: Callable[..., Any], *arguments: Any, **how: Any) -> Answer:
        """Submit one chunk with one item; `how` is what an Order may say."""
        answer = Answer()
        order = Order(secrets.token_hex(8), "group", 0, f"chores:{task.__name__}", **how)
        parts = Calls([[list(arguments)]], star=True).to_parts()
        self.engine.submit(order, self.engine.hold(order.task, parts), answer)
        return answer

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        """Nothing to hear."""

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Pass on."""
        self.largest = max(self.largest, len(payload))
        self.engine.dispatched(envelope, payload)
        self._changed.set()

    def bus_up(self) -> None:
        """Pass on."""
        self.engine.bus_up()

    def bus_down(self) -> None:
        """Pass on."""
        self.engine.bus_down()

    async def start_broker(self) -> None:
        """Start a broker, in place of one that is gone."""
        self.broker = await self.start("broker")

    async def __aenter__(self) -> Self:
        await self.start_broker()
        await self._place.joined()
        await self.engine.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.engine.stop()
        await self._place.close()
        for process in self._processes:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        for process in self._processes:
            await process.wait()
        os.close(self._lifeline)
        os.close(self._held)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def slots_of(worker: int) -> list[int]:
    """Return the slots of a worker."""
    return [slot for nursery in children(worker) for slot in children(nursery)]


def data_of(pid: int) -> int:
    """Return the MiB of memory of its own that a process has, as a limit counts them."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmData")]
    return int(line.split()[1]) // 2**10


def segments_of(pid: int) -> int:
    """Return how many pieces of shared memory a process has open."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            links.append(os.readlink(entry))
    return sum("memfd:databench-" in link for link in links)


async def gone(process: int) -> None:
    """Return when the process behind a descriptor (`os.pidfd_open`) is gone, and close that."""
    await asyncio.to_thread(select, [process], [], [])
    os.close(process)


def kill(pid: int) -> None:
    """End a process at once, if it is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
