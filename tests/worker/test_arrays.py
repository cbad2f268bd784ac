"""Large arrays between a runner and real workers: through shared memory on one machine, over the bus elsewhere."""

import asyncio
import gc
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from databench import jobs
from databench.engines.contract import Order
from databench.errors import TaskError
from databench.jobs import JobScope, current_scope
from databench.segments import SEGMENTS
from databench.wire.chunks import Calls
from databench.wire.outbox import INLINE
from databench.wire.parts import APART
from databench.wire.references import SHARED, Reference
from tests.conftest import CI
from tests.worker.plant import Answer, Plant, data_of, kill, segments_of, slots_of

Pipe = Any

NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")
"""Starts a process that sees none of those outside of it, as in a container of its own."""
ARRAY = np.arange(100_000.0)


@pytest.fixture
async def plant(tmp_path: Path, chores: ModuleType) -> AsyncIterator[Plant]:
    """A broker, workers as the test starts them, and the scope of a handler; no shared memory is left at the end."""
    gc.collect()
    before = segments_of(os.getpid())
    async with Plant(tmp_path) as plant:
        scope = JobScope(plant.engine)
        token = current_scope.set(scope)
        yield plant
        scope.cancel_all()
        current_scope.reset(token)
    gc.collect()
    assert segments_of(os.getpid()) == before


async def test_arrays_pass_through_shared_memory_and_not_over_the_bus(plant: Plant, chores: ModuleType) -> None:
    await plant.worker(2)
    for number in range(20):  # one at a time: one that is sent ahead may run twice, and be answered over the bus
        assert (await jobs.submit(chores.plus, ARRAY, number) == ARRAY + number).all()
    assert plant.largest <= INLINE


async def test_large_results_of_small_arguments_pass_through_shared_memory_from_the_second_on(
    plant: Plant, chores: ModuleType
) -> None:
    await plant.worker()
    assert (await plant.submit(chores.filled, 100_000)).sum() == 100_000
    assert plant.largest > 800_000
    plant.largest = 0
    assert (await plant.submit(chores.filled, 100_000)).sum() == 100_000
    assert plant.largest <= INLINE


async def test_both_sides_may_write_to_arrays_and_keep_them(plant: Plant, chores: ModuleType) -> None:
    await plant.worker()
    first = await jobs.submit(chores.plus, ARRAY, 1)
    kept = first.copy()
    first += 1
    for number in range(5):
        await jobs.submit(chores.plus, ARRAY, number)
    assert (first == kept + 1).all()
    assert ARRAY[0] == 0


async def test_a_slot_that_is_killed_with_an_array_costs_no_result(
    plant: Plant, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    worker = await plant.worker()
    job = jobs.submit(chores.plus_once_held, ARRAY, pipe.path, str(tmp_path / "marker"))
    kill(await pipe.open())
    assert (await job == ARRAY + 1).all()
    assert [segments_of(each) for each in slots_of(worker.pid)] == [0]


async def test_a_worker_that_is_killed_with_an_array_costs_no_result(
    plant: Plant, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    worker = await plant.worker()
    job = jobs.submit(chores.plus_once_held, ARRAY, pipe.path, str(tmp_path / "marker"))
    await pipe.open()
    other = await plant.worker()
    worker.kill()
    assert (await job == ARRAY + 1).all()
    assert [segments_of(slot) for slot in slots_of(other.pid)] == [0]


async def test_a_broker_that_is_killed_costs_no_result(
    plant: Plant, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    await plant.worker()
    job = jobs.submit(chores.plus_once_held, ARRAY, pipe.path, str(tmp_path / "marker"))
    await pipe.open()
    plant.broker.kill()
    await plant.broker.wait()
    await plant.start_broker()
    assert (await job == ARRAY + 1).all()


async def test_a_cancelled_job_lets_go_of_its_memory(plant: Plant, chores: ModuleType) -> None:
    await plant.worker(2)
    for _ in range(5):
        with jobs.map(chores.plus, [ARRAY] * 100, range(100), chunk=1) as job:
            async for _result in job:
                break
    assert (await jobs.submit(chores.plus, ARRAY, 1) == ARRAY + 1).all()
    assert segments_of(os.getpid()) <= SEGMENTS


async def test_many_arrays_at_once_stay_within_the_bounds_and_the_others_travel_over_the_bus(
    plant: Plant, chores: ModuleType
) -> None:
    await plant.worker(2)
    array = ARRAY[: APART // 4]
    answers = [plant.submit(chores.plus, array, number) for number in range(3 * SEGMENTS)]
    assert segments_of(os.getpid()) == SEGMENTS
    for number, answer in enumerate(answers):
        assert (await answer == array + number).all()
    assert segments_of(os.getpid()) == SEGMENTS
    assert SHARED <= array.nbytes + 1_000 < plant.largest + 2_000


async def test_a_result_that_is_too_large_is_refused_and_the_slot_goes_on(plant: Plant, chores: ModuleType) -> None:
    await plant.worker()
    for _ in range(2):
        with pytest.raises(TaskError, match=r"what the task returned cannot be sent: .*bytes, more than the limit of"):
            await jobs.submit(chores.filled, 25_000_000)
        assert (await jobs.submit(chores.filled, 100_000)).sum() == 100_000


async def test_a_limit_of_memory_counts_arrays_too(plant: Plant, chores: ModuleType) -> None:
    await plant.worker(1, "--memory", "512M")
    assert (await jobs.submit(chores.plus, np.zeros(5_000_000), 1)).sum() == 5_000_000
    with pytest.raises(TaskError, match=r"MemoryError: .*a slot may use 512 MiB"):
        await jobs.submit(chores.filled, 100_000_000)


async def tight_worker(plant: Plant, room: int) -> tuple[int, int]:
    """Start a worker whose slot has so many MiB beyond what it has anyway; return its limit and its process id."""
    usual = await plant.worker()
    limit = data_of(slots_of(usual.pid)[0]) + room
    usual.terminate()
    await plant.until(lambda: plant.engine.capacity == 0)
    return limit, (await plant.worker(1, "--memory", f"{limit}M")).pid


def submit_over_the_bus(plant: Plant, array: np.ndarray) -> Answer:
    answer = Answer()
    plant.engine.submit(Order("j", "g", 0, "chores:plus"), Calls([[[array, 1]]], star=True).to_bytes(), answer)
    return answer


@pytest.mark.parametrize(
    ("over_the_bus", "room"),
    [(False, 32), (True, 32), (True, 80)],
    ids=["copying it from shared memory", "receiving it", "copying it from what was received"],
)
async def test_an_argument_that_does_not_fit_fails_naming_the_limit_and_the_slot_goes_on(
    plant: Plant, chores: ModuleType, over_the_bus: bool, room: int
) -> None:
    limit, worker = await tight_worker(plant, room)
    slots = slots_of(worker)
    array = np.zeros(7_000_000)
    reason, failure = await (submit_over_the_bus(plant, array) if over_the_bus else plant.submit(chores.plus, array, 1))
    assert reason == "raised"
    assert "MemoryError" in failure.type
    assert f"a slot may use {limit} MiB" in failure.message
    assert (await plant.submit(chores.plus, ARRAY, 1) == ARRAY + 1).all()
    assert slots_of(worker) == slots


async def test_a_result_for_which_there_is_no_room_fails_naming_the_limit_and_the_slot_goes_on(
    plant: Plant, chores: ModuleType
) -> None:
    limit, worker = await tight_worker(plant, 64)
    slots = slots_of(worker)
    with pytest.raises(TaskError, match=f"MemoryError: .*a slot may use {limit} MiB"):
        await jobs.submit(chores.produce, 40_000_000)
    assert await plant.submit(chores.double, 1) == 2
    assert slots_of(worker) == slots


@pytest.mark.parametrize("garbage", [Reference(1, 0, "0" * 16, 1, 1).to_bytes(), b"\x95garbage"])
async def test_a_garbage_reference_is_refused_and_the_slot_goes_on(
    plant: Plant, chores: ModuleType, garbage: bytes
) -> None:
    worker = await plant.worker()
    slots = slots_of(worker.pid)
    answer = Answer()
    plant.engine.submit(Order("j", "g", 0, "chores:double"), garbage, answer)
    reason, _ = await answer
    assert reason == "refused"
    assert await plant.submit(chores.double, 1) == 2
    assert slots_of(worker.pid) == slots


RUNNER = """
import asyncio, sys
from pathlib import Path
import numpy as np
from databench import jobs
from databench.loading import load
from tests.worker.plant import CHORES, Plant

class Guest(Plant):
    async def start_broker(self):
        pass

async def main():
    load(CHORES)
    chores = sys.modules["chores"]
    async with Guest(Path(sys.argv[1]), identity="runner:guest") as plant:
        await plant.submit(chores.total_at_word, np.ones(100_000), sys.argv[2], sys.argv[3])

asyncio.run(main())
"""


async def test_a_runner_that_is_killed_leaves_nothing_in_memory(
    plant: Plant, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    worker = await plant.worker()
    words = tmp_path / "words"
    os.mkfifo(words)
    command = [sys.executable, "-c", RUNNER, str(tmp_path), pipe.path, str(words)]
    runner = await asyncio.create_subprocess_exec(*command, cwd=Path(__file__).parents[2])
    slot = await pipe.open()
    assert (segments_of(runner.pid), segments_of(slot)) == (1, 1)
    runner.kill()
    await runner.wait()
    assert segments_of(slot) == 1
    await asyncio.to_thread(words.write_text, "finish")
    assert await plant.submit(chores.double, 1) == 2
    assert [segments_of(each) for each in slots_of(worker.pid)] == [0]


def may_unshare() -> bool:
    """Return whether namespaces of our own can be had; on CI they have to be."""
    if CI:
        return True
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not may_unshare(), reason="this system gives us no namespaces of our own")
async def test_a_worker_in_a_container_of_its_own_gets_arrays_over_the_bus(plant: Plant, chores: ModuleType) -> None:
    options = (str(Path(chores.__file__ or "").parent), "--slots", "2")
    worker = await plant.start("worker", *options, through=NAMESPACE)
    await plant.until(lambda: plant.engine.capacity == 2)
    results = await jobs.map(chores.plus, [ARRAY] * 20, range(20), chunk=1, retries=0)
    assert all((result == ARRAY + number).all() for number, result in enumerate(results))
    assert plant.largest > ARRAY.nbytes
    worker.kill()
    await worker.wait()


@pytest.mark.skipif(not may_unshare(), reason="this system gives us no namespaces of our own")
async def test_where_some_workers_are_elsewhere_no_result_is_lost(plant: Plant, chores: ModuleType) -> None:
    options = (str(Path(chores.__file__ or "").parent), "--slots", "2")
    worker = await plant.start("worker", *options, through=NAMESPACE)
    await plant.until(lambda: plant.engine.capacity == 2)
    await plant.worker(2)
    results = await jobs.map(chores.plus, [ARRAY] * 60, range(60), chunk=1, retries=0)
    assert all((result == ARRAY + number).all() for number, result in enumerate(results))
    worker.kill()
    await worker.wait()
