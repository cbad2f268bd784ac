"""Faults of all kinds, a certain number a second, as a seed has it. Knows processes, and nothing of what they do."""

import asyncio
import random
import signal
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import psutil

from tests.worker.plant import Plant, children, kill, slots_of

RATE = 10
"""Faults a second."""
FEWEST, MOST = 2, 5
"""Workers."""
SLOTS = 2
"""Of each of them."""

Fault = Callable[[], Awaitable[None]]


class Faults:
    """What goes wrong, and who is there afterwards: workers die, stop, come and go, and so does the broker."""

    def __init__(self, plant: Plant, seed: int) -> None:
        self.struck: Counter[str] = Counter()
        """How often each fault was done."""
        self._plant = plant
        self._dice = random.Random(seed)
        self._workers: dict[str, Process] = {}
        self._stopped: set[str] = set()
        self._numbers = 0
        self._seen: set[psutil.Process] = set()
        self._mending: set[asyncio.Task[None]] = set()
        self._faults: dict[Fault, int] = {
            self.kill_slot: 45,
            self.stop_worker: 20,
            self.leave: 8,
            self.join: 8,
            self.kill_nursery: 6,
            self.kill_worker: 6,
            self.scale: 4,
            self.kill_broker: 5,
        }

    async def begin(self) -> None:
        """Start the first workers."""
        for _ in range(FEWEST):
            await self._start()
        await self._plant.until(lambda: self._plant.engine.capacity == FEWEST * SLOTS)

    async def strike(self, count: int) -> None:
        """Let so many things go wrong at a steady rate, or as many as there are workers for in twice the time.

        However long its workers take to start, each fault is done once.
        """
        loop = asyncio.get_running_loop()
        begin = loop.time()
        tick = 0
        while self.struck.total() < count and (tick < 2 * count or len(self.struck) < len(self._faults)):
            possible = [fault for fault in self._faults if self._possible(fault)]
            if possible:
                [fault] = self._dice.choices(possible, [self._weight(fault) for fault in possible])
                await fault()
                self.struck[fault.__name__] += 1
            tick += 1
            await asyncio.sleep(begin + tick / RATE - loop.time())
        await asyncio.gather(*self._mending)

    def ended_by_themselves(self) -> list[str]:
        """Return the workers that ended although nothing made them."""
        return [name for name, process in self._workers.items() if process.returncode is not None]

    def everybody(self) -> list[psutil.Process]:
        """Return all processes that this knows to have been there."""
        for process in self._workers.values():
            self._note(process)
        return list(self._seen)

    def _weight(self, fault: Fault) -> int:
        """How likely a fault is; those that were not there yet come first, so that a short run has each of them."""
        return self._faults[fault] if self.struck[fault.__name__] else 1_000

    def _possible(self, fault: Fault) -> bool:
        """Whether a fault can be done now, and leaves somebody who works."""
        if fault == self.join:
            return len(self._workers) < MOST
        working = len(self._at_work()) if self._plant.engine.capacity else 0
        return working > (FEWEST if fault == self.leave else FEWEST - 1)

    # The faults

    async def kill_slot(self) -> None:
        """Kill a slot, whatever it does."""
        if slots := slots_of(self._workers[self._one_at_work()].pid):
            kill(self._dice.choice(slots))

    async def kill_nursery(self) -> None:
        """Kill the process that forks the slots of a worker."""
        for nursery in children(self._workers[self._one_at_work()].pid):
            kill(nursery)

    async def kill_worker(self) -> None:
        """Kill a worker; it is started again under its name."""
        name = self._one_at_work()
        process = self._workers.pop(name)
        self._note(process)
        process.kill()
        self._stopped.discard(name)
        await process.wait()
        await self._start(name)

    async def stop_worker(self) -> None:
        """Stop a worker for a moment, or for so long that it is taken for lost."""
        name = self._one_at_work()
        self._stopped.add(name)
        process = self._workers[name]
        process.send_signal(signal.SIGSTOP)
        self._later(self._go_on(name, process, self._dice.choice([0.05, 0.2, 0.5, 3.0])))

    async def join(self) -> None:
        """Start another worker."""
        await self._start()

    async def leave(self) -> None:
        """Ask a worker to stop, and do not wait for it."""
        stays = self._one_at_work()
        name = self._dice.choice([name for name in self._workers if name != stays])
        process = self._workers.pop(name)
        self._note(process)
        self._stopped.discard(name)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.terminate()

    async def scale(self) -> None:
        """Have as many workers as there may be, or as few."""
        change = self.join if len(self._workers) <= (FEWEST + MOST) // 2 else self.leave
        while len(self._workers) != (MOST if change == self.join else FEWEST):
            await change()

    async def kill_broker(self) -> None:
        """Kill the broker and start another."""
        self._plant.broker.kill()
        await self._plant.broker.wait()
        await self._plant.start_broker()

    # Who is there

    def _at_work(self) -> list[str]:
        """The workers that have slots and are not stopped."""
        return [name for name, process in self._workers.items() if name not in self._stopped and slots_of(process.pid)]

    def _one_at_work(self) -> str:
        # A slot may have ended since somebody was seen to have one.
        return self._dice.choice(self._at_work() or list(self._workers))

    async def _start(self, name: str = "") -> None:
        if not name:
            self._numbers += 1
            name = f"worker-{self._numbers}"
        self._workers[name] = await self._plant.start_worker(SLOTS, "--name", name)

    def _note(self, process: Process) -> None:
        with suppress(psutil.NoSuchProcess):
            worker = psutil.Process(process.pid)
            self._seen |= {worker, *worker.children(recursive=True)}

    def _later(self, mend: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(mend)
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)

    async def _go_on(self, name: str, process: Process, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            if self._workers.get(name) is process:
                self._stopped.discard(name)
