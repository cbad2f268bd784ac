"""What a chunk may use, and what happens when it uses more: time, memory, slots, patience."""

import os
import signal
from types import ModuleType
from typing import Any

import pytest

from databench import jobs
from databench.errors import JobError, TaskError
from databench_worker import lineup
from tests.worker.plant import gone

Bench = Any
Gate = Any
Pipe = Any


async def test_a_chunk_over_its_time_fails_naming_the_limit_and_its_slot_is_replaced(
    bench: Bench, chores: ModuleType
) -> None:
    await bench.hire("w1")
    pid = await bench.submit(chores.sleep, 0.0)
    slot = os.pidfd_open(pid)
    reason, failure = await bench.submit(chores.sleep, 3600.0, timeout=0.1)
    assert (reason, failure.message) == ("timeout", "the chunk took longer than its limit of 0.1 s")
    await gone(slot)
    assert await bench.submit(chores.sleep, 0.0, timeout=30.0) != pid


async def test_a_chunk_may_wait_longer_than_it_may_take(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1")
    answers = [bench.submit(chores.sleep, 0.4, timeout=30.0) for _ in range(3)]
    short = [bench.submit(chores.sleep, 0.0, timeout=1.0) for _ in range(3)]
    assert len({await answer for answer in answers + short}) == 1


async def test_code_that_keeps_the_interpreter_ends_with_its_time(bench: Bench, chores: ModuleType, pipe: Pipe) -> None:
    await bench.hire("w1")
    slot = os.pidfd_open(await bench.submit(chores.sleep, 0.0))
    listening = os.open(pipe.path, os.O_RDONLY | os.O_NONBLOCK)  # so that it waits for nobody before it begins
    assert (await bench.submit(chores.hog, pipe.path, 600.0, timeout=0.5))[0] == "timeout"
    await gone(slot)
    os.close(listening)


async def test_a_slot_that_wants_more_memory_than_it_may_use_fails_and_names_the_limit(
    bench: Bench, chores: ModuleType
) -> None:
    await bench.hire("w1", memory=512 * 2**20)
    assert await jobs.submit(chores.grab, 50 * 2**20) == 50 * 2**20
    with pytest.raises(TaskError, match=r"MemoryError: .*a slot may use 512 MiB \(DATABENCH_MEMORY\)"):
        await jobs.submit(chores.grab, 2**30)
    assert await jobs.submit(chores.double, 1) == 2


async def test_a_slot_that_the_system_kills_names_the_limit_too(bench: Bench, chores: ModuleType, pipe: Pipe) -> None:
    await bench.hire("w1", memory=512 * 2**20)
    job = jobs.submit(chores.hold, pipe.path, retries=0)
    os.kill(await pipe.open(), signal.SIGKILL)
    with pytest.raises(JobError, match=r"for want of memory, and a slot may use 512 MiB"):
        await job
    await pipe.ended()


async def test_a_slot_is_renewed_after_so_many_chunks(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1", renew_after=3)
    pids = [await bench.submit(chores.sleep, 0.0) for _ in range(9)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 3]


async def test_many_short_chunks_are_renewed_without_a_loss(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1", 2, renew_after=20)
    assert sorted(await jobs.map(chores.double, range(200), chunk=1, retries=0)) == list(range(0, 400, 2))


async def test_a_short_job_does_not_wait_behind_long_chunks_that_were_thought_short(
    bench: Bench, chores: ModuleType, pipe: Pipe
) -> None:
    """The pace of a task is learned as short; then one is long, and what was sent ahead behind it comes back."""
    await bench.hire("w1", 2)
    for _ in range(5):
        await bench.submit(chores.sleep, 0.0)
    long = bench.submit(chores.sleep, 30.0)
    pids = {await answer for answer in [bench.submit(chores.sleep, 0.0) for _ in range(20)]}
    assert len(pids) == 1
    assert not long.here


async def test_a_result_does_not_wait_for_the_long_chunk_behind_it(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1")
    for _ in range(5):
        await bench.submit(chores.sleep, 0.0)
    short = [bench.submit(chores.sleep, 0.0) for _ in range(5)]
    long = bench.submit(chores.sleep, 600.0)
    assert len({await answer for answer in short}) == 1
    assert not long.here


async def test_cancelled_chunks_that_were_sent_ahead_end_no_slot(
    bench: Bench, chores: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineup, "GRACE", 60.0)  # the one that was begun may finish, however busy the machine is
    await bench.hire("w1")
    pid = await bench.submit(chores.sleep, 0.0)
    for _ in range(5):
        with jobs.map(chores.double, range(200), chunk=1) as job:
            async for _ in job:
                break
        assert await bench.submit(chores.sleep, 0.0) == pid


async def test_a_result_that_is_too_large_fails_and_names_the_limit(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1")
    with pytest.raises(TaskError, match=r"what the task returned cannot be sent: .*bytes, more than the limit of"):
        await jobs.submit(chores.produce, 200_000_000)


async def test_a_task_may_print_megabytes(bench: Bench, chores: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    await bench.hire("w1")
    assert await jobs.submit(chores.print_much, 30_000) == 30_000
    assert len(capfd.readouterr().out) == 3_000_000


async def test_a_task_may_ask_python_to_end_and_the_slot_stays(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1")
    _, pid = await jobs.submit(chores.where)
    with pytest.raises(TaskError, match="SystemExit: 3"):
        await jobs.submit(chores.leave, 3)
    assert (await jobs.submit(chores.where))[1] == pid


async def test_what_a_task_forks_lives_as_long_as_its_slot(bench: Bench, chores: ModuleType, pipe: Pipe) -> None:
    await bench.hire("w1", renew_after=2)
    job = jobs.submit(chores.fork, pipe.path)
    child = await pipe.open()
    assert await job == child
    assert await jobs.submit(chores.double, 1) == 2
    await pipe.ended()


async def test_a_task_may_start_threads(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1")
    assert await jobs.submit(chores.start_threads, 5) >= 6
    assert await jobs.submit(chores.double, 1) == 2


async def test_a_worker_that_joins_during_a_job_gets_work(bench: Bench, chores: ModuleType, gate: Gate) -> None:
    await bench.hire("w1")
    answers = [bench.submit(chores.wait_for_gate, *gate.arguments) for _ in range(8)]
    await bench.hire("w2", 3)
    await gate.holds(4)
    gate.open()
    assert len({await answer for answer in answers}) == 4
