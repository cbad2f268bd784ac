"""Broker and workers as processes that are killed, stopped and replaced while they work."""

import asyncio
import itertools
import os
import resource
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from databench import jobs
from databench.errors import TaskError
from databench.jobs import JobScope
from databench.wire.dispatch import WORKER_SILENCE
from tests.worker.plant import Answer, Plant, kill, slots_of

Gate = Any
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


async def test_code_that_keeps_the_interpreter_for_longer_than_workers_may_be_silent_is_not_taken_for_dead(
    plant: Plant, chores: ModuleType, pipe: Pipe
) -> None:
    worker = await plant.worker()
    slots = slots_of(worker.pid)
    answer = plant.submit(chores.hog, pipe.path, WORKER_SILENCE + 1.0, retries=0)
    pid = await pipe.open()
    assert await answer == pid
    assert plant.engine.capacity == 1
    assert slots_of(worker.pid) == slots == [pid]


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
    await plant.start_worker()  # it may come before or after the other one is taken for lost
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


async def test_workers_are_scaled_from_one_to_eight_and_down_to_two_during_a_job_and_nothing_is_lost(
    plant: Plant, chores: ModuleType
) -> None:
    """Without retries: none of those that leave loses a chunk."""
    workers = [await plant.worker()]
    scaling = True
    items = itertools.takewhile(lambda _: scaling, itertools.count())
    job = jobs.begin_map(JobScope(plant.engine), chores.napping_double, (items,), chunk=1, retries=0)
    results = [await anext(job)]
    workers += [await plant.start_worker() for _ in range(7)]
    while plant.engine.capacity != 8:
        results.append(await anext(job))
    for worker in workers[:6]:
        worker.terminate()
    while plant.engine.capacity != 2:
        results.append(await anext(job))
    scaling = False
    results += [result async for result in job]
    assert sorted(results) == list(range(0, 2 * len(results), 2))
    assert [await worker.wait() for worker in workers[:6]] == [0] * 6


async def test_a_worker_with_older_code_fails_the_job_and_names_task_and_worker(
    plant: Plant, chores: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "older"
    folder.mkdir()
    (folder / "__init__.py").touch()
    await plant.start("worker", str(folder), "--slots", "1", "--name", "laggard")
    with pytest.raises(TaskError, match="chores:double is not known on laggard"):
        await jobs.begin_submit(JobScope(plant.engine), chores.double, (1,))


async def test_results_that_cannot_be_sent_fail_their_job_and_others_go_on(plant: Plant, chores: ModuleType) -> None:
    await plant.worker()
    scope = JobScope(plant.engine)
    with pytest.raises(TaskError, match=r"what the task returned cannot be sent: .*\['bad'\]\[0\]"):
        await jobs.begin_map(scope, chores.unsendable, (range(4),))
    with pytest.raises(TaskError, match=r"what the task returned cannot be sent: .*bytes, more than the limit of"):
        await jobs.begin_submit(scope, chores.produce, (200_000_000,))
    assert await jobs.begin_submit(scope, chores.double, (2,)) == 4


async def test_a_worker_that_fails_through_a_fault_of_its_own_ends_and_says_so(
    plant: Plant, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    """It may open nothing any more, which it has to for another slot."""
    worker = await plant.worker()
    answer = plant.submit(chores.hold_once, pipe.path, str(tmp_path / "marker"))
    first = await pipe.open()
    _, most = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (3, most))
    kill(first)
    assert await worker.wait() == 1
    await plant.until(lambda: plant.engine.capacity == 0)
    await plant.worker()
    assert await answer != first


async def test_a_worker_that_joins_during_a_job_gets_work_at_once(plant: Plant, chores: ModuleType, gate: Gate) -> None:
    [first] = slots_of((await plant.worker()).pid)
    answers = [plant.submit(chores.wait_for_gate, *gate.arguments) for _ in range(6)]
    [other] = slots_of((await plant.worker()).pid)
    await gate.holds(2)
    gate.open()
    assert {await answer for answer in answers} == {first, other}


async def test_a_killed_slot_costs_no_result_and_others_go_on(plant: Plant, chores: ModuleType) -> None:
    worker = await plant.worker(2)
    answers = [plant.submit(chores.sleep, 0.02) for _ in range(60)]
    for index in (5, 20, 40):
        await answers[index]
        kill(slots_of(worker.pid)[0])
    await asyncio.gather(*answers)
    assert once(answers)
