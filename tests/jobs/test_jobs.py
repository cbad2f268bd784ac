"""What authors see of jobs, over every engine."""

import asyncio
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from databench import jobs
from databench.engines.contract import Engine, Order, Sink
from databench.errors import AnalysisError, Cancelled, JobError, PayloadError, TaskError
from databench.jobs import JobScope, current_scope
from databench.wire.parts import Parts, Source, joined


async def test_results_come_as_they_are_completed(scope: JobScope, chores: ModuleType) -> None:
    assert sorted([x async for x in jobs.map(chores.double, range(100))]) == list(range(0, 200, 2))


async def test_results_come_in_order_where_that_is_asked_for(scope: JobScope, chores: ModuleType) -> None:
    results = [x async for x in jobs.map(chores.double, range(500), ordered=True)]
    assert results == list(range(0, 1000, 2))


async def test_a_plain_handler_iterates_in_its_thread(scope: JobScope, chores: ModuleType) -> None:
    results = await asyncio.to_thread(lambda: list(jobs.map(chores.double, range(50), ordered=True)))
    assert results == list(range(0, 100, 2))


async def test_the_result_of_a_job_is_the_list_in_the_order_of_the_items(scope: JobScope, chores: ModuleType) -> None:
    expected = list(range(0, 200, 2))
    assert await jobs.map(chores.double, range(100)) == expected
    assert await asyncio.to_thread(lambda: jobs.map(chores.double, range(100)).result()) == expected


async def test_the_result_of_a_job_can_be_had_twice(scope: JobScope, chores: ModuleType) -> None:
    job = jobs.map(chores.double, [1, 2])
    assert await job == await job == [2, 4]


async def test_several_iterables_are_the_arguments_and_the_shortest_ends_it(
    scope: JobScope, chores: ModuleType
) -> None:
    assert await jobs.map(chores.add, range(10), [100, 200, 300]) == [100, 201, 302]


async def test_a_job_without_items_has_no_results(scope: JobScope, chores: ModuleType) -> None:
    assert await jobs.map(chores.double, []) == []
    assert await asyncio.to_thread(lambda: list(jobs.map(chores.double, iter(())))) == []


async def test_a_fixed_chunk_holds_that_many_items(scope: JobScope, chores: ModuleType) -> None:
    assert await jobs.map(chores.double, range(10), chunk=4) == list(range(0, 20, 2))


async def test_submit_calls_a_task_once(scope: JobScope, chores: ModuleType) -> None:
    assert await jobs.submit(chores.add, 3, 4) == 7
    assert await jobs.submit(chores.nothing) == "nothing"
    assert await asyncio.to_thread(lambda: jobs.submit(chores.double, 21).result()) == 42


async def test_progress_counts_items(scope: JobScope, chores: ModuleType) -> None:
    job = jobs.map(chores.double, range(30))
    assert job.progress.total == 30
    await job
    assert (job.progress.done, job.progress.total, job.progress.running) == (30, 30, 0)
    assert jobs.map(chores.double, iter(range(1000))).progress.total is None


async def test_the_first_exception_of_a_task_ends_the_job_and_tells_where_it_was(
    scope: JobScope, chores: ModuleType
) -> None:
    with pytest.raises(TaskError, match="ValueError: cannot do 23") as caught:
        await jobs.map(chores.refuse, range(100), [23] * 100, chunk=10)
    assert (caught.value.type_name, caught.value.item) == ("ValueError", 23)
    assert "in refuse" in caught.value.remote_traceback
    assert "perform" not in caught.value.remote_traceback
    assert scope.jobs == []


async def test_sys_exit_in_a_task_is_an_exception_of_the_task(scope: JobScope, chores: ModuleType) -> None:
    with pytest.raises(TaskError, match="SystemExit: 3"):
        await jobs.submit(chores.leave, 3)


async def test_a_result_that_cannot_be_sent_is_named(scope: JobScope, chores: ModuleType) -> None:
    with pytest.raises(TaskError, match=r"payload\['bad'\]\[0\] is of type object") as caught:
        await jobs.map(chores.unsendable, range(4), chunk=4)
    assert caught.value.item == 2


async def test_an_argument_that_cannot_be_sent_raises_where_it_was_handed_over(
    scope: JobScope, chores: ModuleType
) -> None:
    with pytest.raises(PayloadError, match="object"):
        jobs.submit(chores.double, object())
    assert scope.jobs == []


async def test_an_exception_of_the_iterable_reaches_the_consumer_and_ends_the_job(
    scope: JobScope, chores: ModuleType
) -> None:
    def broken() -> Iterator[int]:
        yield from range(200)
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        async for _ in jobs.map(chores.double, broken()):
            pass
    assert scope.jobs == []


async def test_a_generator_is_read_only_so_far_ahead(scope: JobScope, chores: ModuleType) -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with jobs.map(chores.double, endless(), chunk=1) as job:
        results = 0
        async for _ in job:
            results += 1
            assert taken <= results + 64
            if results == 200:
                break
    assert scope.jobs == []


async def test_a_cancelled_job_ends_its_iteration_and_has_no_result(scope: JobScope, chores: ModuleType) -> None:
    job = jobs.map(chores.double, range(10_000), chunk=1)
    seen = 0
    async for _ in job:
        seen += 1
        job.cancel()
    assert 0 < seen < 10_000
    with pytest.raises(JobError, match="cancelled"):
        await job


async def test_a_plain_handler_that_waits_ends_when_its_scope_is_cancelled(scope: JobScope, chores: ModuleType) -> None:
    begun = threading.Event()

    def items() -> Iterator[int]:
        begun.set()
        released.wait()
        yield 1

    released = threading.Event()
    waiting = asyncio.create_task(asyncio.to_thread(lambda: list(jobs.map(chores.double, items()))))
    await asyncio.to_thread(begun.wait)
    scope.cancel_all()
    released.set()
    with pytest.raises(Cancelled):
        await waiting
    with pytest.raises(Cancelled):
        jobs.map(chores.double, [1])


async def test_the_check_of_the_scope_is_asked_at_each_step_of_a_plain_handler(
    engine: Engine, chores: ModuleType
) -> None:
    steps = 0

    def check() -> None:
        nonlocal steps
        steps += 1
        if steps > 10:
            raise Cancelled

    def handler() -> None:
        current_scope.set(JobScope(engine, check))
        for _ in jobs.map(chores.double, range(1000), chunk=1):
            pass

    with pytest.raises(Cancelled):
        await asyncio.to_thread(handler)


async def test_a_for_loop_on_the_event_loop_is_refused_before_it_blocks(scope: JobScope, chores: ModuleType) -> None:
    job = jobs.map(chores.double, [1, 2])
    with pytest.raises(AnalysisError, match="async for"):
        list(job)
    with pytest.raises(AnalysisError, match="await job"):
        job.result()
    assert await job == [2, 4]


async def test_two_jobs_can_be_under_way_at_once(scope: JobScope, chores: ModuleType) -> None:
    first, second = jobs.map(chores.double, range(200)), jobs.map(chores.add, range(200), range(200))
    assert await second == await first


async def test_an_answer_that_comes_twice_counts_once(chores: ModuleType) -> None:
    class Doubling:
        capacity = 1

        def hold(self, task: str, parts: Parts) -> bytes:
            return joined(parts)

        def submit(self, order: Order, payload: Source, sink: Sink) -> None:
            ran = jobs.perform(order.task, payload)
            sink.done(order.chunk, ran.seconds, ran.payload)
            sink.done(order.chunk, ran.seconds, ran.payload)

        def cancel(self, job: str) -> None:
            pass

    current_scope.set(JobScope(Doubling()))
    job = jobs.map(chores.double, range(3), chunk=1)
    assert await job == [0, 2, 4]
    assert job.progress.done == 3


def test_outside_of_a_handler_the_error_says_where_to_call_it(chores: ModuleType) -> None:
    with pytest.raises(AnalysisError, match="inside a function under @"):
        jobs.map(chores.double, [1])


@pytest.mark.parametrize("bad", [{"chunk": 0}, {"chunk": "large"}, {"retries": -1}])
async def test_settings_that_make_no_sense_are_refused(
    scope: JobScope, chores: ModuleType, bad: dict[str, Any]
) -> None:
    with pytest.raises(AnalysisError):
        jobs.map(chores.double, [1], **bad)
