"""Slots are real processes here: they are killed, they vanish, they are dropped and replaced."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from databench import jobs
from databench.errors import JobError, TaskError
from databench_worker import lineup
from databench_worker.forks import Nursery
from databench_worker.lineup import Lineup

Bench = Any
Pipe = Any
CHORES = Path(__file__).parents[1] / "chores"


async def test_a_task_runs_in_a_slot_and_knows_its_worker(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1")
    name, pid = await jobs.submit(chores.where)
    assert name == "w1"
    assert pid != os.getpid()


async def test_a_chunk_whose_slot_is_killed_runs_in_another(
    bench: Bench, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    await bench.hire("w1")
    job = jobs.submit(chores.hold_once, pipe.path, str(tmp_path / "marker"))
    first = await pipe.open()
    os.kill(first, signal.SIGKILL)
    assert await job != first
    await pipe.ended()


async def test_a_chunk_that_ends_its_slot_each_time_fails_and_says_how(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1", 2)
    with pytest.raises(JobError, match="item 0: lost: exit code 3"):
        await jobs.submit(chores.vanish, 3, retries=1)
    assert await jobs.map(chores.double, range(10)) == list(range(0, 20, 2))


async def test_how_a_killed_slot_ended_is_told(bench: Bench, chores: ModuleType, pipe: Pipe) -> None:
    await bench.hire("w1")
    job = jobs.submit(chores.hold, pipe.path, retries=0)
    os.kill(await pipe.open(), signal.SIGKILL)
    with pytest.raises(JobError, match=r"killed by signal 9 \(SIGKILL\)"):
        await job
    await pipe.ended()


async def test_a_cancelled_chunk_is_ended_and_its_slot_replaced(bench: Bench, chores: ModuleType, pipe: Pipe) -> None:
    await bench.hire("w1")
    job = jobs.submit(chores.hold, pipe.path)
    pid = await pipe.open()
    job.cancel()
    await pipe.ended()
    _, other = await jobs.submit(chores.where)
    assert other != pid


async def test_an_idle_slot_that_is_killed_is_replaced(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1")
    for _ in range(3):
        _, pid = await jobs.submit(chores.where)
        os.kill(pid, signal.SIGKILL)
    assert await jobs.submit(chores.double, 4) == 8


async def test_when_the_process_that_forks_slots_is_killed_another_takes_over(
    bench: Bench, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    await bench.hire("w1", 2)
    job = jobs.submit(chores.hold_once, pipe.path, str(tmp_path / "marker"))
    first = await pipe.open()
    os.kill(parent_of(first), signal.SIGKILL)
    assert await job != first
    await pipe.ended()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_a_worker_that_stops_hands_back_what_does_not_finish(
    bench: Bench, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    first = await bench.hire("w1", grace=0.0)
    job = jobs.submit(chores.hold_once, pipe.path, str(tmp_path / "marker"), retries=0)
    pid = await pipe.open()
    await bench.hire("w2")
    await first.stop()
    await pipe.ended()
    assert await job != pid


async def test_a_worker_that_stops_lets_running_chunks_finish(
    bench: Bench, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    worker = await bench.hire("w1", grace=30.0)
    answers = tmp_path / "answers"
    os.mkfifo(answers)
    job = jobs.submit(chores.wait_for_word, pipe.path, str(answers), retries=0)
    assert await asyncio.to_thread(Path(pipe.path).read_text) == "running\n"
    stopping = asyncio.create_task(worker.stop())
    await asyncio.to_thread(answers.write_text, "finish")
    assert await job == "finish"
    await stopping


async def test_a_worker_that_stops_without_having_had_work_complains_of_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    worker = await bench.hire("w1", 2)
    with caplog.at_level(logging.WARNING):
        await worker.stop()
    assert caplog.records == []


async def test_workers_may_come_and_go_during_a_job(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1")
    results = []
    async for x in jobs.map(chores.double, range(400), chunk=1):
        results.append(x)
        if len(results) == 50:
            await bench.hire("w2", 2)
        if len(results) == 150:
            await bench.workers[0].stop()
    assert sorted(results) == list(range(0, 800, 2))


@pytest.mark.parametrize("turns", range(6))
async def test_a_chunk_that_was_on_its_way_to_a_worker_that_leaves_comes_back(
    bench: Bench, chores: ModuleType, turns: int
) -> None:
    first = await bench.hire("w1")
    job = jobs.submit(chores.where, retries=0)
    for _ in range(turns):  # of the loop: the chunk is at another place on its way after each
        await asyncio.sleep(0)
    await first.stop()
    await bench.hire("w2")
    name, _ = await job
    assert name in ("w1", "w2")


async def test_the_broker_may_be_restarted_during_a_chunk(
    bench: Bench, chores: ModuleType, pipe: Pipe, tmp_path: Path
) -> None:
    await bench.hire("w1")
    job = jobs.submit(chores.hold_once, pipe.path, str(tmp_path / "marker"), retries=0)
    first = await pipe.open()
    bench.broker.fail()
    bench.broker.recover()
    assert await job != first
    await pipe.ended()


async def test_slots_do_not_share_the_state_of_random_generators(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1", 2)
    draws = [await jobs.submit(chores.dice) for _ in range(20)]
    assert len(set(draws)) == len(draws)


async def test_what_a_task_prints_is_the_workers_output(
    bench: Bench, chores: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    await bench.hire("w1")
    await jobs.submit(chores.shout, "hello from a slot")
    assert "hello from a slot" in capfd.readouterr().out


async def test_large_arguments_and_results_pass(bench: Bench, chores: ModuleType) -> None:
    await bench.hire("w1")
    data = bytes(range(256)) * 40_000
    assert await jobs.submit(chores.add, data, b"!") == data + b"!"


async def test_a_task_that_the_worker_does_not_have_is_named(bench: Bench, chores: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "older").mkdir()
    (tmp_path / "older" / "__init__.py").write_text("")
    await bench.hire("w1", folder=tmp_path / "older")
    with pytest.raises(TaskError, match="chores:double is not known on w1"):
        await jobs.submit(chores.double, 1)


async def test_analyses_that_end_the_process_when_imported_are_tried_again_and_told(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "deadly"
    folder.mkdir()
    marker = tmp_path / "marker"
    marker.touch()
    (folder / "__init__.py").write_text(
        f"import os\nif os.path.exists({str(marker)!r}):\n    os.remove({str(marker)!r})\n    os._exit(7)\n"
    )
    with caplog.at_level(logging.ERROR, "databench.worker"):
        await bench.hire("w1", folder=folder)
    assert "no slots: it ended while it imported" in caplog.text
    assert "exit code 7" in caplog.text


ALONE = """
import asyncio, sys
from pathlib import Path
from databench import jobs
sys.path.insert(0, {here!r})
from conftest import Bench, CHORES, load

async def main():
    load(CHORES)
    chores = sys.modules["chores"]
    bench = Bench()
    await bench.engine.start()
    jobs.current_scope.set(jobs.JobScope(bench.engine))
    await bench.hire("w1", 2)
    await jobs.submit(chores.hold, {pipe!r})

asyncio.run(main())
"""


async def test_when_the_worker_is_killed_no_slot_is_left(pipe: Pipe) -> None:
    code = ALONE.format(here=str(Path(__file__).parent), pipe=pipe.path)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    await pipe.open()
    process.kill()
    await pipe.ended()
    await process.wait()


async def test_a_worker_that_fails_leaves_so_that_its_chunks_run_elsewhere(
    bench: Bench, chores: ModuleType, pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    failed = asyncio.Event()
    worker = await bench.hire("w1", failed=failed.set)
    job = jobs.submit(chores.hold_once, pipe.path, str(tmp_path / "marker"))
    first = await pipe.open()
    monkeypatch.setattr(Nursery, "fork", broken)
    os.kill(first, signal.SIGKILL)
    await failed.wait()
    monkeypatch.undo()
    assert isinstance(worker.failure, BaseException)
    await worker.stop()  # its process does that
    await bench.hire("w2")
    assert await job != first
    await pipe.ended()


def fault(*_: object) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("broken", ["take", "answered"])
async def test_a_worker_that_fails_over_what_it_hears_ends_so_that_the_chunk_runs_in_another(
    bench: Bench, chores: ModuleType, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    failed = asyncio.Event()
    worker = await bench.hire("w1", failed=failed.set)
    with monkeypatch.context() as patch:
        patch.setattr(Lineup, broken, fault)
        answer = bench.submit(chores.where)
        await failed.wait()
    assert isinstance(worker.failure, BaseException)
    await worker.stop()  # its process does that
    await bench.hire("w1")  # and whoever supervises it starts it again
    assert (await answer)[0] == "w1"


@pytest.mark.parametrize("broken", ["end", "tick"])
async def test_a_worker_that_fails_over_the_end_of_a_chunk_leaves_so_that_it_runs_elsewhere(
    bench: Bench, chores: ModuleType, pipe: Pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    # A chunk that has just begun is not ended by ending its slot: the slot would be told, and may be gone.
    monkeypatch.setattr(lineup, "GRACE", 60.0)
    failed = asyncio.Event()
    worker = await bench.hire("w1", failed=failed.set)
    with monkeypatch.context() as patch:
        patch.setattr(Lineup, broken, fault)
        timeout = 0.1 if broken == "tick" else 0.0
        answer = bench.submit(chores.hold_once, pipe.path, str(tmp_path / "marker"), timeout=timeout)
        first = await pipe.open()
        if broken == "end":
            os.kill(first, signal.SIGKILL)
        await failed.wait()
    await worker.stop()  # its process does that
    await pipe.ended()
    await bench.hire("w2")
    assert await answer != first
