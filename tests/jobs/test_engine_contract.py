"""What every engine does alike: over real broker and worker processes, over threads, over a real Dask cluster."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from databench import jobs
from databench.bus.zeromq import connector
from databench.engines.bus import BusEngine
from databench.engines.choice import Engines
from databench.engines.contract import Engine, Order
from databench.errors import AnalysisError, Cancelled, JobError, TaskError
from databench.jobs import JobScope
from databench.seeding import seeds
from databench.wire.chunks import Calls, Failure, Results
from databench.wire.parts import Source
from tests.jobs.clusters import DaskCluster, bus
from tests.jobs.conftest import Runner

KINDS = ("bus", "local", "dask")


class Answers:
    """A sink that keeps what it was given."""

    def __init__(self) -> None:
        self.got: list[tuple[int, str, Source]] = []
        self._news = threading.Condition()

    def done(self, chunk: int, seconds: float, payload: Source) -> None:
        assert seconds >= 0
        self._keep(chunk, "done", payload)

    def failed(self, chunk: int, reason: str, payload: bytes) -> None:
        self._keep(chunk, reason, payload)

    def _keep(self, chunk: int, reason: str, payload: Source) -> None:
        with self._news:
            self.got.append((chunk, reason, payload))
            self._news.notify_all()

    async def number(self, n: int) -> None:
        """Wait for so many answers."""

        def wait() -> None:
            with self._news:
                assert self._news.wait_for(lambda: len(self.got) >= n, 50), self.got

        await asyncio.to_thread(wait)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bus with a broker and a worker."""
    with bus(tmp_path_factory.mktemp("bus")) as address:
        yield address


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskCluster]:
    """A Dask scheduler with two workers."""
    cluster = DaskCluster()
    yield cluster
    cluster.close()


@asynccontextmanager
async def on_the_bus(address: str) -> AsyncIterator[BusEngine]:
    runner = Runner()
    place = connector(address)("runner:contract:1", (b"r/contract/",), runner)
    await place.joined()
    runner.engine = BusEngine("contract", place)
    await runner.engine.start()
    yield runner.engine
    await runner.engine.stop()
    await place.close()


@pytest.fixture(params=KINDS)
async def engine(request: pytest.FixtureRequest, chores: ModuleType) -> AsyncIterator[Engine]:
    """Each engine in turn, once it has slots; those of one process by name, as the runner gets them."""
    async with AsyncExitStack() as stack:
        place = (
            await stack.enter_async_context(on_the_bus(request.getfixturevalue("address")))
            if (request.param == "bus")
            else None
        )
        engines = Engines("bus", place, slots=2)
        stack.push_async_callback(asyncio.to_thread, engines.close)
        name = request.getfixturevalue("cluster").address if request.param == "dask" else request.param
        engine = engines(name)
        scope = JobScope(engine)
        assert await jobs.begin_submit(scope, chores.double, (2,)) == 4
        async with asyncio.timeout(50):  # a process that a test has ended is started again
            while engine.capacity != 2:
                await jobs.begin_submit(scope, chores.double, (2,))
        yield engine


@pytest.fixture
def scope(engine: Engine) -> Iterator[JobScope]:
    """The scope of a handler."""
    scope = JobScope(engine, group="session")
    yield scope
    scope.cancel_all()


def order(task: str, chunk: int = 0, job: str = "j", **more: float) -> Order:
    return Order(job, "g", chunk, f"chores:{task}", **more)  # type: ignore[arg-type]


async def test_large_arrays_come_back_and_may_be_written_to(scope: JobScope, chores: ModuleType) -> None:
    array = np.arange(50_000.0)
    results = await jobs.begin_map(scope, chores.plus, ([array] * 6, range(6)), ordered=True)
    for number, result in enumerate(results):
        assert (result == array + number).all()
        result += 1
    assert array[-1] == 49_999


async def test_each_chunk_is_answered_once(engine: Engine) -> None:
    answers = Answers()
    for chunk in range(50):
        engine.submit(order("double", chunk, job="each"), Calls([[chunk, 10 * chunk]]).to_bytes(), answers)
    await answers.number(50)
    got = {chunk: Results.from_bytes(payload).values for chunk, reason, payload in answers.got if reason == "done"}
    assert got == {chunk: [2 * chunk, 20 * chunk] for chunk in range(50)}
    assert len(answers.got) == 50


async def test_a_chunk_whose_task_raises_is_answered_with_the_failure(engine: Engine) -> None:
    answers = Answers()
    engine.submit(order("refuse", job="raises"), Calls([[1, 2, 3], [2, 2, 2]]).to_bytes(), answers)
    await answers.number(1)
    [(chunk, reason, payload)] = answers.got
    failure = Failure.from_bytes(payload)
    assert (chunk, reason, failure.item, failure.type, failure.message) == (0, "raised", 1, "ValueError", "cannot do 2")


async def test_a_task_that_is_not_there_is_named(engine: Engine) -> None:
    answers = Answers()
    engine.submit(Order("nowhere", "g", 0, "elsewhere:missing"), Calls([[1]]).to_bytes(), answers)
    await answers.number(1)
    [(_, reason, payload)] = answers.got
    assert reason == "raised"
    assert "elsewhere:missing" in Failure.from_bytes(payload).message


async def test_results_come_in_order_or_as_they_are_completed(scope: JobScope, chores: ModuleType) -> None:
    assert [x async for x in jobs.begin_map(scope, chores.double, (range(500),), ordered=True)] == list(
        range(0, 1000, 2)
    )
    assert sorted([x async for x in jobs.begin_map(scope, chores.double, (range(500),))]) == list(range(0, 1000, 2))


async def test_plain_handlers_get_the_same(scope: JobScope, chores: ModuleType) -> None:
    def handler() -> list[int]:
        with jobs.begin_starmap(scope, chores.add, [(x, x) for x in range(100)]) as job:
            return sorted(job)

    assert await asyncio.to_thread(handler) == list(range(0, 200, 2))


async def test_large_values_travel(scope: JobScope, chores: ModuleType) -> None:
    data = bytes(range(256)) * 2**14
    assert await jobs.begin_map(scope, chores.add, ([data] * 4, [b"!"] * 4)) == [data + b"!"] * 4
    assert [len(x) async for x in jobs.begin_map(scope, chores.large, ([12 * 2**20] * 4,))] == [12 * 2**20] * 4


async def test_random_streams_depend_on_nothing_but_the_item(scope: JobScope, chores: ModuleType) -> None:
    expected = [chores.drawn(x, seeds(7)[x]) for x in range(60)]
    assert await jobs.begin_map(scope, chores.drawn, (range(60), seeds(7))) == expected
    assert await jobs.begin_map(scope, chores.drawn, (range(60), seeds(7)), chunk=7) == expected


async def test_the_first_failure_ends_the_job(scope: JobScope, chores: ModuleType) -> None:
    with pytest.raises(TaskError, match="cannot do 23") as caught:
        await jobs.begin_map(scope, chores.refuse, (range(100), [23] * 100), chunk=5)
    assert (caught.value.item, type(caught.value.original)) == (23, ValueError)


async def test_failures_are_collected(scope: JobScope, chores: ModuleType) -> None:
    job = jobs.begin_map(scope, chores.stumble, (range(40),), errors="collect", ordered=True)
    results = [x async for x in job]
    assert [x for x in results if not isinstance(x, TaskError)] == [x for x in range(40) if x % 10 not in (1, 3, 5, 7)]
    assert [error.item for error in job.errors] == [x for x in range(40) if x % 10 in (1, 3, 5, 7)]
    assert (job.progress.done, job.progress.failed, job.progress.remaining) == (40, 16, 0.0)


async def test_a_chunk_that_takes_too_long_is_answered_with_that(scope: JobScope, chores: ModuleType) -> None:
    with pytest.raises(JobError, match=r"item 0: timeout: .*took longer than 0.2 s"):
        await jobs.begin_submit(scope, chores.nap, (3.0,), timeout=0.2)
    assert await jobs.begin_submit(scope, chores.nap, (0.001,), timeout=20) == 0.001


async def test_a_cancelled_job_gives_nothing_any_more_and_others_go_on(scope: JobScope, chores: ModuleType) -> None:
    job = jobs.begin_map(scope, chores.nap, ([0.01] * 1_000,), chunk=1)
    async for _ in job:
        job.cancel()
    with pytest.raises(JobError, match="cancelled"):
        await job
    assert job.progress.running == 0
    assert await jobs.begin_submit(scope, chores.double, (4,)) == 8


async def test_whoever_waits_when_the_scope_ends_is_cancelled(scope: JobScope, chores: ModuleType) -> None:
    job = jobs.begin_map(scope, chores.nap, ([0.01] * 1_000,), chunk=1)
    waiting = asyncio.create_task(asyncio.to_thread(job.result))
    await anext(job.__aiter__())
    scope.cancel_all()
    with pytest.raises(Cancelled):
        await waiting


async def test_two_jobs_of_two_sessions_take_turns(engine: Engine, chores: ModuleType) -> None:
    long = jobs.begin_map(JobScope(engine, group="a"), chores.nap, ([0.02] * 300,), chunk=1)
    await anext(long.__aiter__())
    assert await jobs.begin_map(JobScope(engine, group="b"), chores.double, (range(4),), chunk=1) == [0, 2, 4, 6]
    assert long.progress.done < 250
    long.cancel()


@pytest.mark.parametrize("engine", ["bus", "dask"], indirect=True)
async def test_chunks_run_in_other_processes(scope: JobScope, chores: ModuleType) -> None:
    places = await jobs.begin_map(scope, chores.slow_where, (range(40),), chunk=1)
    assert os.getpid() not in {pid for _, pid in places}
    assert len({pid for _, pid in places}) == 2


@pytest.mark.parametrize("engine", ["bus", "dask"], indirect=True)
async def test_a_chunk_runs_again_where_its_process_was_lost(
    scope: JobScope, chores: ModuleType, tmp_path: Path
) -> None:
    results = jobs.begin_map(scope, chores.vanish_once, (range(20), [str(tmp_path / "marker")] * 20), chunk=1)
    assert sorted(await results) == list(range(20))


@pytest.mark.parametrize("engine", ["bus", "dask"], indirect=True)
async def test_a_chunk_that_ends_its_process_again_and_again_fails_the_job(scope: JobScope, chores: ModuleType) -> None:
    with pytest.raises(JobError, match="item 0: lost"):
        await jobs.begin_submit(scope, chores.vanish, (3,), retries=1)
    assert await jobs.begin_submit(scope, chores.double, (4,)) == 8


def test_engines_that_are_not_there_are_named_with_those_that_are() -> None:
    with pytest.raises(AnalysisError, match=r"there is no engine 'spark': choose bus .*, local .* or dask://HOST:8786"):
        Engines()("spark")
    with pytest.raises(AnalysisError, match="on no bus"):
        Engines()("bus")
