"""What authors learn of items that fail, over every engine."""

import threading
from types import ModuleType

import pytest

from databench import jobs
from databench.engines.local import LocalEngine
from databench.errors import JobError, TaskError
from databench.failures import LONGEST_MESSAGE, job_error, task_error
from databench.jobs import JobScope
from databench.performing import FAILURE_BYTES, perform
from databench.wire.chunks import Calls, Failure, Results, failures_in

released = threading.Event()


@jobs.task
def held(waits: bool) -> bool:
    """Take as long as the test wants, or no time."""
    if waits:
        released.wait(50)
    return waits


STUMBLES = {1: "KeyError", 3: "NoColourError", 5: "StopIteration", 7: "SystemExit"}


@pytest.mark.parametrize("chunk", [1, 7, 100])
async def test_failed_items_come_in_place_of_their_results_and_all_others_run(
    scope: JobScope, chores: ModuleType, chunk: int
) -> None:
    job = jobs.map(chores.stumble, range(20), chunk=chunk, errors="collect", ordered=True)
    results = [x async for x in job]
    failed = {error.item: error.type_name for error in results if isinstance(error, TaskError)}
    assert failed == {item: name for tens in (0, 10) for item, name in ((tens + x, STUMBLES[x]) for x in STUMBLES)}
    assert [x for x in results if not isinstance(x, TaskError)] == [x for x in range(20) if x % 10 not in STUMBLES]
    assert [error.item for error in job.errors] == sorted(failed)
    assert (job.progress.done, job.progress.failed) == (20, 8)


async def test_a_failed_item_tells_its_remote_traceback(scope: JobScope, chores: ModuleType) -> None:
    _, error = await jobs.map(chores.stumble, [0, 1], errors="collect")
    assert isinstance(error, TaskError)
    assert "in stumble" in error.remote_traceback
    assert "performing" not in error.remote_traceback


async def test_the_original_exception_is_made_again_where_its_type_is_known(
    scope: JobScope, chores: ModuleType
) -> None:
    errors = await jobs.map(chores.stumble, [1, 3, 7], errors="collect")
    key, colour, left = (error.original for error in errors)
    assert isinstance(key, KeyError)
    assert key.args == ("one",)
    assert isinstance(colour, chores.NoColourError)
    assert str(colour) == "no red 7"
    assert isinstance(left, SystemExit)
    with pytest.raises(TaskError) as caught:
        await jobs.submit(chores.stumble, 1)
    assert isinstance(caught.value.original, KeyError)


@pytest.mark.parametrize(("module", "name"), [("elsewhere", "Error"), ("os", "system"), ("os", "path.join"), ("", "X")])
def test_a_type_that_is_not_known_here_or_no_exception_is_not_made(module: str, name: str) -> None:
    error = task_error(Failure(0, name, "no", "", module, ["true"]), 4)
    assert error.original is None
    assert (error.type_name, error.item) == (name, 4)


async def test_a_result_that_cannot_be_sent_is_collected_too(scope: JobScope, chores: ModuleType) -> None:
    results = await jobs.map(chores.unsendable, range(4), chunk=4, errors="collect")
    assert results[:2] == [0, 1]
    assert results[3] == 3
    assert "payload['bad'][0] is of type object" in str(results[2])


async def test_results_that_are_too_large_together_say_what_to_do(scope: JobScope, chores: ModuleType) -> None:
    with pytest.raises(TaskError, match=r"results of 3 items together: give a smaller chunk="):
        await jobs.map(chores.large, [30 * 2**20] * 3, chunk=3)
    assert [len(x) for x in await jobs.map(chores.large, [30 * 2**20] * 3)] == [30 * 2**20] * 3


async def test_a_chunk_that_takes_too_long_fails_the_job_and_names_the_limit(chores: ModuleType) -> None:
    released.clear()
    with LocalEngine(3) as engine:
        scope = JobScope(engine)
        with pytest.raises(JobError, match=r"item 0: timeout: the chunk took longer than 0.05 s"):
            await jobs.begin_submit(scope, held, (True,), timeout=0.05)
        error, other = await jobs.begin_map(scope, held, ([True, False],), chunk=1, timeout=2, errors="collect")
        released.set()
    assert isinstance(error, TaskError)
    assert "timeout: the chunk took longer than 2 s (item 0)" in str(error)
    assert other is False


def test_text_that_is_too_long_or_no_text_travels_nevertheless(chores: ModuleType) -> None:
    ran = perform("chores:grumble", Calls([[1]]).to_bytes())
    failure = Failure.from_bytes(ran.payload)
    assert len(failure.message) < LONGEST_MESSAGE + 10
    assert failure.message.startswith("?a")
    assert failure.arguments is None


def test_tracebacks_of_a_chunk_are_bounded(chores: ModuleType) -> None:
    items = 10_000
    ran = perform("chores:stumble", Calls([[1] * items], collect=True).to_bytes())
    failures = Results.from_bytes(ran.payload).failures
    assert len(failures) == failures_in(ran.payload) == items
    assert sum(len(failure.traceback) for failure in failures) < 2 * FAILURE_BYTES
    assert (failures[0].traceback == "", failures[-1].traceback == "") == (False, True)


def test_a_lost_chunk_names_its_items() -> None:
    lost = Failure(None, "Lost", "its slot was killed", "")
    assert str(job_error("lost", lost, range(3, 8), 0.0)) == "items 3 to 7: lost: its slot was killed"
