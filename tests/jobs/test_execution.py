"""One job under way, whatever its engine answers in whatever order: each item comes exactly once."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databench import jobs
from databench.errors import Cancelled, JobError, TaskError
from databench.jobs import JobScope
from databench.wire.chunks import Failure, Results
from tests.jobs.scripted import Scripted


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(
    data=st.data(),
    items=st.integers(0, 120),
    chunk=st.one_of(st.just("auto"), st.integers(1, 9)),
    ordered=st.booleans(),
    collect=st.booleans(),
    sized=st.booleans(),
)
def test_each_item_comes_once_whatever_the_order_of_the_answers(
    chores: ModuleType, data: st.DataObject, items: int, chunk: Any, ordered: bool, collect: bool, sized: bool
) -> None:
    engine = Scripted()
    given_items: Any = range(items) if sized else iter(range(items))
    errors: Any = "collect" if collect else "stop"
    execution = jobs.begin_map(
        JobScope(engine, clock=lambda: 0.0), chores.double, (given_items,), chunk=chunk, ordered=ordered, errors=errors
    )._execution
    got: list[Any] = []
    while (step := execution.step()) != "over":
        if isinstance(step, list):
            got += step
        elif step == "wait":
            assert engine.orders, "it waits for nothing"
            index = data.draw(st.integers(0, len(engine.orders) - 1))
            if collect and data.draw(st.integers(0, 5)) == 0:
                engine.lose(index)
            else:
                engine.answer(index)
            if data.draw(st.booleans()):
                engine.repeat(data.draw(st.integers(0, len(engine.answered) - 1)))
    places = [each.item if isinstance(each, TaskError) else each // 2 for each in got]
    assert sorted(places) == list(range(items))
    assert places == sorted(places) or not ordered
    assert execution.progress.done == items
    assert execution.progress.failed == sum(isinstance(each, TaskError) for each in got)
    assert (execution.end, engine.cancelled, engine.orders) == ("finished", [], [])


@pytest.mark.parametrize("how", ["lost", "refused"])
async def test_whatever_ends_the_job_tells_the_engine_and_stays_the_same(chores: ModuleType, how: str) -> None:
    engine = Scripted()
    scope = JobScope(engine)
    job = jobs.begin_map(scope, chores.double, (range(100),), chunk=3)
    order, _, sink = engine.orders[2]
    sink.failed(order.chunk, how, Failure(None, "X", "no such luck", "").to_bytes())
    for _ in range(2):
        with pytest.raises(JobError, match=f"items 6 to 8: {how}: no such luck"):
            await job
    assert engine.cancelled == [job.name]
    assert scope.jobs == []


@pytest.mark.parametrize(
    "answer",
    [
        ("done", b"\xc1"),
        ("done", Results([1, 2]).to_bytes()),
        ("done", Results([1], [Failure(None, "", "", "")]).to_bytes()),
        ("raised", b"\xc1"),
        ("raised", Failure(7, "E", "", "").to_bytes()),
    ],
)
async def test_an_answer_that_makes_no_sense_ends_the_job(chores: ModuleType, answer: tuple[str, bytes]) -> None:
    engine = Scripted()
    job = jobs.begin_map(JobScope(engine), chores.double, ([1],), chunk=1)
    order, _, sink = engine.orders[0]
    if answer[0] == "done":
        sink.done(order.chunk, 0.1, answer[1])
    else:
        sink.failed(order.chunk, *answer)
    with pytest.raises(JobError, match="the answer of a worker cannot be read"):
        await job
    assert engine.cancelled == [order.job]


async def test_results_that_were_not_taken_yet_are_not_given_after_a_cancel(chores: ModuleType) -> None:
    engine = Scripted()
    job = jobs.begin_map(JobScope(engine), chores.double, (range(100),), chunk=10)
    engine.answer(0)
    assert await anext(job.__aiter__()) == 0
    job.cancel()
    assert [x async for x in job] == []


async def test_results_that_were_not_taken_yet_are_not_given_to_a_handler_that_is_cancelled(
    chores: ModuleType,
) -> None:
    engine = Scripted()
    scope = JobScope(engine)
    job = jobs.begin_map(scope, chores.double, (range(100),), chunk=10)
    engine.answer(0)
    results = job.__aiter__()
    assert await anext(results) == 0
    scope.cancel_all()
    with pytest.raises(Cancelled):
        await anext(results)
