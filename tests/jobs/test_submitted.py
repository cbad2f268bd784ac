"""One call of a task, whatever its engine answers and whenever: it has one outcome, which all who wait get."""

import asyncio
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from databench import jobs
from databench.errors import AnalysisError, Cancelled, JobError, PayloadError, TaskError
from databench.jobs import JobScope, Submitted
from databench.progress import Progress
from databench.wire.chunks import Failure, Results
from tests.jobs.scripted import Scripted

LOST = Failure(None, "Lost", "its slot was killed", "").to_bytes()
RAISED = Failure(0, "ValueError", "no", "", "builtins", ["no"]).to_bytes()


@pytest.fixture
def engine() -> Scripted:
    return Scripted()


@pytest.fixture
def scope(engine: Scripted) -> JobScope:
    return JobScope(engine)


async def in_a_thread(call: Callable[[], Any]) -> Any:
    """Return what a thread made of it: the result or the exception."""

    def run() -> Any:
        try:
            return call()
        except (Exception, Cancelled) as error:
            return error

    return await asyncio.to_thread(run)


async def test_who_waits_in_a_thread_or_on_the_loop_gets_the_result_and_again_the_same(
    engine: Scripted, scope: JobScope, chores: ModuleType
) -> None:
    call = jobs.begin_submit(scope, chores.total, (1, 2, 3))

    async def awaited() -> Any:
        return await call

    waiting = [asyncio.create_task(wait) for wait in (awaited(), awaited(), in_a_thread(call.result))]
    await asyncio.sleep(0)
    engine.answer(0)
    assert await asyncio.gather(*waiting) == [6, 6, 6]
    assert await call == 6
    assert await in_a_thread(call.result) == 6


async def test_the_same_value_is_given_each_time(engine: Scripted, scope: JobScope, chores: ModuleType) -> None:
    call = jobs.begin_submit(scope, chores.where, ())
    engine.answer(0)
    assert await call is await call


async def test_a_call_is_over_when_it_is_answered_though_nobody_asks(
    engine: Scripted, scope: JobScope, chores: ModuleType
) -> None:
    call = jobs.begin_submit(scope, chores.double, (4,))
    assert [job.name for job in scope.jobs] == [engine.orders[0][0].job]
    engine.answer(0)
    assert scope.jobs == []
    assert await call == 8
    assert engine.cancelled == []


@pytest.mark.parametrize(
    ("reason", "payload", "error", "message"),
    [
        ("raised", RAISED, TaskError, r"ValueError: no \(item 0\)"),
        ("lost", LOST, JobError, "item 0: lost: its slot was killed"),
        ("timeout", LOST, JobError, "item 0: timeout: the chunk took longer than 1.5 s"),
        ("refused", LOST, JobError, "item 0: refused: its slot was killed"),
        ("raised", b"\xc1", JobError, "the answer of a worker cannot be read"),
        ("raised", Failure(7, "E", "", "").to_bytes(), JobError, "cannot be read: there is no item 7"),
        (None, b"\xc1", JobError, "the answer of a worker cannot be read"),
        (None, Results([1, 2]).to_bytes(), JobError, "cannot be read: 2 results for one call"),
        (None, Results([1], [Failure(None, "", "", "")]).to_bytes(), JobError, "the answer of a worker cannot be read"),
    ],
)
async def test_a_call_that_fails_raises_the_same_to_all_who_ask(
    engine: Scripted,
    scope: JobScope,
    chores: ModuleType,
    reason: str | None,
    payload: bytes,
    error: type[Exception],
    message: str,
) -> None:
    call = jobs.begin_submit(scope, chores.double, (1,), timeout=1.5)
    _, _, sink = engine.orders[0]
    if reason is None:
        sink.done(0, 0.1, payload)
    else:
        sink.failed(0, reason, payload)
    with pytest.raises(error, match=message) as first:
        await call
    assert await in_a_thread(call.result) is first.value
    assert scope.jobs == []


async def test_an_exception_of_the_task_is_made_again(engine: Scripted, scope: JobScope, chores: ModuleType) -> None:
    call = jobs.begin_submit(scope, chores.refuse, (3, 3))
    engine.answer(0)
    with pytest.raises(TaskError) as caught:
        await call
    assert isinstance(caught.value.original, ValueError)
    assert "cannot do 3" in caught.value.remote_traceback


async def test_a_call_that_is_cancelled_has_no_result_whatever_comes_then(
    engine: Scripted, scope: JobScope, chores: ModuleType
) -> None:
    call = jobs.begin_submit(scope, chores.double, (1,))
    waiting = asyncio.create_task(in_a_thread(call.result))
    call.cancel()
    engine.answer(0)
    call.cancel()
    assert str(await waiting) == "the job was cancelled"
    with pytest.raises(JobError, match="cancelled"):
        await call
    assert engine.cancelled == [engine.answered[0][0].job]
    assert scope.jobs == []


async def test_a_call_that_is_over_is_not_cancelled(engine: Scripted, scope: JobScope, chores: ModuleType) -> None:
    call = jobs.begin_submit(scope, chores.double, (1,))
    engine.answer(0)
    engine.repeat(0)
    call.cancel()
    scope.cancel_all()
    assert await call == 2
    assert engine.cancelled == []


async def test_whoever_waits_is_cancelled_with_the_handler(
    engine: Scripted, scope: JobScope, chores: ModuleType
) -> None:
    call = jobs.begin_submit(scope, chores.double, (1,))

    async def awaited() -> Any:
        return await call

    waiting = [asyncio.create_task(in_a_thread(call.result)), asyncio.create_task(in_a_thread(call.result))]
    on_the_loop = asyncio.create_task(awaited())
    await asyncio.sleep(0)
    scope.cancel_all()
    assert [type(outcome) for outcome in await asyncio.gather(*waiting)] == [Cancelled, Cancelled]
    with pytest.raises(Cancelled):
        await on_the_loop
    assert engine.cancelled == [engine.orders[0][0].job]


async def test_a_handler_that_is_to_stop_hands_nothing_in_and_gets_nothing(
    engine: Scripted, scope: JobScope, chores: ModuleType
) -> None:
    call = jobs.begin_submit(scope, chores.double, (1,))
    engine.answer(0)
    scope.cancel_all()
    with pytest.raises(Cancelled):
        jobs.begin_submit(scope, chores.double, (2,))
    assert engine.orders == []
    assert isinstance(await in_a_thread(call.result), Cancelled)


async def test_one_who_gives_up_waiting_leaves_the_call_to_others(
    engine: Scripted, scope: JobScope, chores: ModuleType
) -> None:
    call = jobs.begin_submit(scope, chores.double, (1,))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await call
    engine.answer(0)
    assert await call == 2


async def test_an_engine_may_answer_before_submitting_returns(chores: ModuleType) -> None:
    class Prompt(Scripted):
        def submit(self, *order: Any) -> None:
            super().submit(*order)
            self.answer(0)

    scope = JobScope(Prompt())
    assert await jobs.begin_submit(scope, chores.double, (21,)) == 42
    assert scope.jobs == []


async def test_waiting_on_the_loop_is_refused_also_where_the_result_is_here(
    engine: Scripted, scope: JobScope, chores: ModuleType
) -> None:
    call = jobs.begin_submit(scope, chores.double, (1,))
    engine.answer(0)
    with pytest.raises(AnalysisError, match="would block everything else"):
        call.result()


async def test_results_that_are_here_let_others_have_their_turn(
    engine: Scripted, scope: JobScope, chores: ModuleType
) -> None:
    calls = [jobs.begin_submit(scope, chores.double, (1,)) for _ in range(3)]
    for _ in calls:
        engine.answer(0)
    turns: list[str] = []

    async def take() -> None:
        for call in calls:
            await call
            turns.append("result")

    async def other() -> None:
        for _ in calls:
            turns.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(take(), other())
    assert turns[:4] == ["other", "result", "other", "result"]


def test_an_argument_that_cannot_be_sent_is_named(engine: Scripted, scope: JobScope, chores: ModuleType) -> None:
    with pytest.raises(PayloadError, match=r"argument 2: payload\['a'\] is of type object"):
        jobs.begin_submit(scope, chores.add, (1, {"a": object()}))
    assert (scope.jobs, engine.orders) == ([], [])


def test_a_call_tells_how_far_it_is(engine: Scripted, chores: ModuleType) -> None:
    now = 10.0
    scope = JobScope(engine, clock=lambda: now)
    good, bad, dropped = (jobs.begin_submit(scope, chores.double, (1,)) for _ in range(3))
    now = 12.0
    assert good.progress == Progress(0, 1, 0, 1, 0.0, None, 2.0)
    engine.answer(0)
    engine.lose(0)
    dropped.cancel()
    now = 99.0
    assert good.progress == Progress(1, 0, 0, 1, 0.5, 0.0, 2.0, over=True)
    assert bad.progress == Progress(1, 0, 1, 1, 0.5, 0.0, 2.0, over=True)
    assert dropped.progress == Progress(0, 0, 0, 1, 0.0, None, 2.0, over=True)


def test_many_threads_get_their_results(engine: Scripted, scope: JobScope, chores: ModuleType) -> None:
    results: list[int] = []

    def one(call: Submitted[int]) -> None:
        results.append(call.result())

    threads = []
    for number in range(50):
        call = jobs.begin_submit(scope, chores.double, (number,))
        threads += [threading.Thread(target=one, args=(call,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    while engine.orders:
        engine.answer(len(engine.orders) // 2)
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(2 * [2 * number for number in range(50)])
