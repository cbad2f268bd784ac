"""How far a job is, and who is told of it how often."""

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench import jobs
from databench.engines.contract import Engine
from databench.errors import Cancelled
from databench.jobs import JobScope, Progress
from databench.progress import Meter, Reporter, Throttle, in_a_thread
from databench.wire import codec


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_steady_rate_is_told_as_it_is() -> None:
    meter = Meter(0.0)
    for tenths in range(1, 601):
        meter.add(2, 0, tenths / 10)
    progress = meter.progress(running=4, total=2400, now=60.0)
    assert progress.rate == pytest.approx(20, rel=0.01)
    assert progress.remaining == pytest.approx(60, rel=0.01)
    assert (progress.done, progress.running, progress.elapsed) == (1200, 4, 60.0)


def test_the_rate_follows_a_job_that_gets_slower() -> None:
    meter = Meter(0.0)
    for second in range(1, 31):
        meter.add(100, 0, second)
    for second in range(31, 121):
        meter.add(10, 0, second)
    assert meter.progress(0, None, 120.0).rate < 25


def test_what_cannot_be_told_is_none() -> None:
    meter = Meter(0.0)
    assert meter.progress(0, 10, 0.0) == Progress(0, 0, 0, 10, 0.0, None, 0.0)
    meter.add(1, 1, 1.0)
    assert meter.progress(0, None, 1.0).remaining is None


def test_at_the_end_nothing_remains_and_the_clock_stands_still() -> None:
    meter = Meter(0.0)
    meter.add(10, 2, 4.0)
    meter.end(5.0)
    assert meter.progress(0, 10, 100.0) == Progress(10, 0, 2, 10, 2.0, 0.0, 5.0, over=True)


def test_progress_travels_as_an_object_with_names() -> None:
    value = codec.unpack(codec.pack(Meter(0.0).progress(1, 2, 0.0)))
    assert value == {
        "done": 0,
        "running": 1,
        "failed": 0,
        "total": 2,
        "rate": 0.0,
        "remaining": None,
        "elapsed": 0.0,
        "over": False,
    }


@given(st.lists(st.floats(0, 0.3), max_size=50))
def test_what_happens_is_told_soon_and_never_too_often(steps: list[float]) -> None:
    throttle, now, told, due = Throttle(0.1), 0.0, [], None
    for step in steps:
        now += step
        if due is not None and due <= now:
            told.append(due)
            throttle.told(due)
            due = None
        wait = throttle.happened(now)
        if wait == 0.0:
            told.append(now)
        elif wait is not None:
            due = now + wait
        else:
            assert due is not None
        assert due is None or due - now <= 0.1 + 1e-6
        assert told
    assert all(later - earlier >= 0.1 - 1e-5 for earlier, later in pairwise(told))


class Told:
    """Keeps what was reported, and what is to be done later."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, Progress | None]] = []
        self.promised: list[tuple[float, Callable[[], None]]] = []

    def report(self, job: str, progress: Progress | None) -> None:
        self.reports.append((job, progress))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.promised.append((seconds, call))


def test_what_is_held_back_is_told_a_little_later_and_nothing_after_the_end() -> None:
    told, clock, meter = Told(), Clock(), Meter(0.0)
    reporter = Reporter("j", told.report, lambda: meter.progress(0, 9, clock()), clock, told.later)
    for done in range(1, 4):
        meter.add(1, 0, clock.now)
        reporter.happened()
        clock.now += 0.01 * done
    assert [progress and progress.done for _, progress in told.reports] == [1]
    [(seconds, tell)] = told.promised
    assert seconds == pytest.approx(0.09)
    tell()
    assert [progress and progress.done for _, progress in told.reports] == [1, 3]
    reporter.over()
    reporter.over()
    reporter.happened()
    tell()
    assert [progress and progress.done for _, progress in told.reports] == [1, 3, 3, None]


def test_without_a_loop_a_thread_tells_later() -> None:
    called = threading.Event()
    in_a_thread(0.001, called.set)
    assert called.wait(10)


async def test_the_progress_of_a_job_is_told_from_its_begin_to_its_end(engine: Engine, chores: ModuleType) -> None:
    told = Told()
    scope = JobScope(engine, progress=told.report, later=told.later)
    job = jobs.begin_map(scope, chores.double, (range(100),))
    first = told.reports[0]
    assert first[0] == job.name
    assert first[1] is not None
    assert first[1].total == 100
    await job
    *_, last, over = told.reports
    assert over == (job.name, None)
    assert last[1] is not None
    assert (last[1].done, last[1].running, last[1].remaining) == (100, 0, 0.0)


async def test_a_cancelled_job_is_told_to_be_over_once(engine: Engine, chores: ModuleType) -> None:
    told = Told()
    scope = JobScope(engine, progress=told.report, later=told.later)
    job = jobs.begin_map(scope, chores.double, (range(100_000),), chunk=1)
    job.cancel()
    scope.cancel_all()
    with pytest.raises(Cancelled):
        await asyncio.to_thread(list, job)
    assert [progress for _, progress in told.reports].count(None) == 1
    assert told.reports[-1] == (job.name, None)
