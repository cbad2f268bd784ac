"""Broker and workers as processes that are killed, stopped and replaced while they work."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.worker.plant import Answer, Plant, kill, slots_of

Pipe = Any


@pytest.fixture
async def plant(tmp_path: Path, chores: ModuleType) -> AsyncIterator[Plant]:
    """A broker, and workers as the test starts them."""
    async with Plant(tmp_path) as plant:
        yield plant


def once(answers: list[Answer]) -> bool:
    return all(answer.count == 1 for answer in answers)


async def test_the_chunks_of_a_killed_worker_run_on_another_and_its_slots_end(
    plant: Plant, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    worker = await plant.worker()
    answer = plant.submit(chores.hold_once, pipe.path, str(tmp_path / "marker"))
    first = await pipe.open()
    await plant.worker()
    worker.kill()
    assert await answer != first
    await pipe.ended()


async def test_a_killed_worker_is_known_to_be_gone_long_before_it_would_be_for_its_silence(
    plant: Plant, chores: ModuleType
) -> None:
    """Nothing but the closed connection tells here: beats and ticks are further apart than a job takes."""
    worker = await plant.worker(2)
    await plant.worker()
    worker.kill()
    await plant.until(lambda: plant.engine.capacity == 1)


async def test_slots_that_keep_the_interpreter_end_with_their_worker(
    plant: Plant, chores: ModuleType, pipe: Pipe
) -> None:
    worker = await plant.worker()
    plant.submit(chores.hog, pipe.path, 600.0)
    await pipe.open()
    worker.kill()
    await pipe.ended()


async def test_when_all_workers_are_killed_the_next_one_goes_on(plant: Plant, chores: ModuleType) -> None:
    workers = [await plant.worker(), await plant.worker()]
    answers = [plant.submit(chores.sleep, 0.02) for _ in range(60)]
    await answers[10]
    for worker in workers:
        worker.kill()
    await plant.until(lambda: plant.engine.capacity == 0)
    await plant.worker(2)
    await asyncio.gather(*answers)
    assert once(answers)


async def test_a_killed_broker_costs_no_chunk(plant: Plant, chores: ModuleType) -> None:
    await plant.worker(2)
    answers = [plant.submit(chores.sleep, 0.02, retries=0) for _ in range(60)]
    await answers[10]
    plant.broker.kill()
    await plant.broker.wait()
    await plant.start_broker()
    await asyncio.gather(*answers)
    assert once(answers)


async def test_the_chunks_of_a_stopped_worker_run_elsewhere_and_its_late_results_are_dropped(
    plant: Plant, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    stopped = await plant.worker()
    word = tmp_path / "word"
    os.mkfifo(word)
    held = plant.submit(chores.late_once, pipe.path, str(tmp_path / "marker"), str(word))
    first = await pipe.open()
    stopped.send_signal(signal.SIGSTOP)
    await plant.worker()
    assert await held != first
    await asyncio.to_thread(word.write_text, "go on")
    await pipe.ended()
    stopped.send_signal(signal.SIGCONT)
    await plant.until(lambda: plant.engine.capacity == 2)
    answers = [plant.submit(chores.sleep, 0.1) for _ in range(4)]
    assert len({await answer for answer in answers}) == 2
    assert once([held, *answers])


async def test_a_worker_that_is_asked_to_stop_finishes_or_hands_back(plant: Plant, chores: ModuleType) -> None:
    leaving = await plant.worker(2)
    answers = [plant.submit(chores.sleep, 0.05, retries=0) for _ in range(40)]
    await answers[3]
    await plant.worker()
    leaving.terminate()
    assert await leaving.wait() == 0
    await asyncio.gather(*answers)
    assert once(answers)


async def test_workers_come_and_go_during_a_job_and_nothing_is_lost(plant: Plant, chores: ModuleType) -> None:
    workers = [await plant.worker()]
    answers = [plant.submit(chores.sleep, 0.02, retries=0) for _ in range(400)]
    for _ in range(3):
        workers.append(await plant.worker())
    for worker in workers[:2]:
        worker.terminate()
    await asyncio.gather(*answers)
    assert once(answers)
    assert {type(await answer) for answer in answers} == {int}


async def test_a_worker_that_joins_during_a_job_gets_work_at_once(plant: Plant, chores: ModuleType) -> None:
    [first] = slots_of((await plant.worker()).pid)
    answers = [plant.submit(chores.sleep, 0.3) for _ in range(6)]
    [other] = slots_of((await plant.worker()).pid)
    assert {await answer for answer in answers} == {first, other}


async def test_a_killed_slot_costs_no_result_and_others_go_on(plant: Plant, chores: ModuleType) -> None:
    worker = await plant.worker(2)
    answers = [plant.submit(chores.sleep, 0.02) for _ in range(60)]
    for index in (5, 20, 40):
        await answers[index]
        kill(slots_of(worker.pid)[0])
    await asyncio.gather(*answers)
    assert once(answers)
