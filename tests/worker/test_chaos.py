"""Random faults while chunks run: every chunk is answered once, with its result."""

import asyncio
import os
import random
import signal
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest

from tests.worker.plant import Answer, Plant, kill, slots_of

FAULTS = 14
AT_ONCE = 40
"""Chunks under way."""


class Chaos:
    """Faults of all kinds, as a seed has it."""

    def __init__(self, plant: Plant, seed: int) -> None:
        self.plant = plant
        self.dice = random.Random(seed)
        self.workers: list[Process] = []

    async def strike(self) -> None:
        """Let one thing go wrong, and see that there is a worker for what is left."""
        fault = self.dice.choice([self.slot, self.slot, self.slot, self.worker, self.leave, self.stop, self.broker])
        await fault()
        while len(self.workers) < 2:
            self.workers.append(await self.plant.start_worker(2))

    async def slot(self) -> None:
        """Kill a slot."""
        if slots := slots_of(self.dice.choice(self.workers).pid):
            kill(self.dice.choice(slots))

    async def worker(self) -> None:
        """Kill a worker."""
        worker = self.workers.pop(self.dice.randrange(len(self.workers)))
        worker.kill()
        await worker.wait()

    async def leave(self) -> None:
        """Ask a worker to stop, and do not wait for it."""
        worker = self.workers.pop(self.dice.randrange(len(self.workers)))
        with suppress(ProcessLookupError):
            worker.terminate()

    async def stop(self) -> None:
        """Stop a worker for a moment."""
        worker = self.dice.choice(self.workers)
        worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.1)
        worker.send_signal(signal.SIGCONT)

    async def broker(self) -> None:
        """Kill the broker and start another."""
        self.plant.broker.kill()
        await self.plant.broker.wait()
        await self.plant.start_broker()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [int(os.environ.get("DATABENCH_CHAOS", "4"))])
async def test_every_chunk_is_answered_once_whatever_goes_wrong(seed: int, chores: ModuleType, tmp_path: Path) -> None:
    answers: list[Answer] = []
    async with Plant(tmp_path) as plant:
        chaos = Chaos(plant, seed)
        chaos.workers = [await plant.worker(2), await plant.worker(2)]
        over = False

        async def work() -> None:
            while not over:
                number = len(answers)
                task, argument = (chores.sleep, 0.02) if number % 3 else (chores.double, number)
                answers.append(plant.submit(task, argument, retries=1_000))
                if len(answers) >= AT_ONCE:
                    await answers[-AT_ONCE]

        working = asyncio.create_task(work())
        for _ in range(FAULTS):
            await answers[-1] if answers else await asyncio.sleep(0)
            await chaos.strike()
        over = True
        await working
        results = [await answer for answer in answers]
    assert {answer.count for answer in answers} == {1}
    assert all(result == 2 * number for number, result in enumerate(results) if number % 3 == 0)
    assert all(isinstance(result, int) for result in results)
