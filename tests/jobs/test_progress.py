"""How far a job is, and who is told of it how often."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench import jobs
from databench.engines.contract import Engine
from databench.errors import Cancelled
from databench.jobs import JobScope, Progress
from databench.progress import DELAY, INTERVAL, Meter, Reporter, Throttle, in_a_thread
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
    throttle, now, told, due = Throttle(), 0.0, [], None
    for step in steps:
        now += step
        if due is not None and due <= now:
            told.append(due)
            throttle.told(due)
            due = None
        wait = throttle.happened(now)
        if wait is None:
            assert due is not None
        else:
            assert due is None
            due = now + wait
        assert due - now <= INTERVAL + 1e-6
    assert all(later - earlier >= INTERVAL - 1e-5 for earlier, later in pairwise(told))


class Told:
    """Keeps what was reported, and what is to be done later."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, Progress | None]] = []
        self.promised: list[tuple[float, Callable[[], None]]] = []

    def report(self, job: str, progress: Progress | None) -> None:
        self.reports.append((job, progress))

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.promised.append((seconds, call))


class Counted:
    """A job whose counts the test sets."""

    def __init__(self, name: str, total: int | None) -> None:
        self.name = name
        self.counts: tuple[int, int, int | None] = (0, 0, total)

    def has(self, taken: int, done: int) -> None:
        self.counts = (taken, done, self.counts[2])


@dataclass
class Desk:
    """A reporter, and time that passes when the test says so."""

    told: Told = field(default_factory=Told)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.reporter = Reporter("scope", self.told.report, self.clock, self.told.later)

    def begin(self, name: str, total: int | None) -> Counted:
        job = Counted(name, total)
        self.reporter.begun(job)
        self.reporter.happened()
        return job

    def answer(self, job: Counted, items: int) -> None:
        job.has(job.counts[0], job.counts[1] + items)
        self.reporter.answered(items, 0)

    def wait(self) -> float:
        """Let the time pass until what was promised is told; return how long that took."""
        [(seconds, tell)], self.told.promised = self.told.promised, []
        self.clock.now += seconds
        tell()
        return seconds

    @property
    def reports(self) -> list[Progress | None]:
        return [progress for _, progress in self.told.reports]


def test_of_jobs_that_are_done_before_they_could_be_seen_the_last_is_told() -> None:
    desk = Desk()
    for number in range(3):
        job = desk.begin(str(number), 1)
        desk.clock.now += 0.01
        desk.answer(job, 1)
        desk.reporter.over(job)
    assert desk.reports == []
    desk.wait()
    [last, over] = desk.reports
    assert (last and (last.done, last.total, last.over), over) == ((1, 1, True), None)
    assert desk.told.promised == []


@pytest.mark.parametrize("failed", [0, 1])
def test_a_job_that_was_cancelled_or_has_failed_is_told_at_once(failed: int) -> None:
    desk = Desk()
    job = desk.begin("j", 9)
    desk.reporter.answered(1, failed)
    desk.reporter.over(job)
    [last, over] = desk.reports
    assert (last and (last.done, last.failed, last.over), over) == ((1, failed, True), None)
    desk.wait()
    assert len(desk.reports) == 2, "it is told once"


def test_what_happens_within_a_moment_is_told_together_and_nothing_after_the_end() -> None:
    desk = Desk()
    job = desk.begin("j", 9)
    job.has(4, 0)
    assert desk.wait() == pytest.approx(0.05)
    desk.answer(job, 1)
    desk.clock.now += 0.02
    desk.answer(job, 2)
    assert desk.wait() == pytest.approx(0.1)
    desk.answer(job, 1)
    desk.reporter.over(job)
    desk.reporter.over(job)
    desk.reporter.happened()
    desk.wait()
    assert [progress and (progress.done, progress.running) for progress in desk.reports] == [
        (0, 4),
        (3, 1),
        (4, 0),
        None,
    ]
    assert desk.told.promised == []


def test_a_job_that_is_over_counts_as_long_as_others_of_its_scope_go_on() -> None:
    desk = Desk()
    first, second = desk.begin("a", 2), desk.begin("b", 8)
    for job in (first, second):
        job.has(2, 0)
    desk.clock.now = 1.0
    desk.answer(first, 2)
    desk.reporter.over(first)
    desk.wait()
    third = desk.begin("c", None)
    desk.wait()
    first_told, unknown = desk.reports
    assert first_told == Progress(2, 2, 0, 10, 2.0, 4.0, 1.05)
    assert unknown is not None
    assert (unknown.total, unknown.remaining) == (None, None)
    desk.reporter.over(second)
    desk.reporter.over(third)
    assert desk.reports[-1] is None
    desk.begin("d", 3)
    desk.wait()
    assert desk.reports[-1] is not None
    assert desk.reports[-1].total == 3, "what was over before is forgotten"


def test_many_jobs_are_looked_at_less_often() -> None:
    desk = Desk()
    jobs = [desk.begin(str(number), 1) for number in range(5_000)]
    desk.wait()
    desk.answer(jobs[0], 1)
    assert desk.wait() == pytest.approx(1.0)


def test_without_a_loop_a_thread_tells_later() -> None:
    called = threading.Event()
    in_a_thread(0.001, called.set)
    assert called.wait(10)


async def test_the_progress_of_a_job_is_told_until_its_end(engine: Engine, chores: ModuleType) -> None:
    told, clock = Told(), Clock()
    scope = JobScope(engine, progress=told.report, later=told.later, clock=clock)
    job = jobs.begin_map(scope, chores.double, (range(100),))
    clock.now = DELAY
    told.promised.pop()[1]()
    [(name, first)] = told.reports
    assert first is not None
    assert first.total == 100
    await job
    *_, (_, last), over = told.reports
    assert over == (name, None)
    assert last is not None
    assert (last.done, last.running, last.remaining) == (100, 0, 0.0)


async def test_a_cancelled_job_is_told_to_be_over_once(engine: Engine, chores: ModuleType) -> None:
    told, clock = Told(), Clock()
    scope = JobScope(engine, progress=told.report, later=told.later, clock=clock)
    job = jobs.begin_map(scope, chores.double, (range(100_000),), chunk=1)
    clock.now = DELAY
    told.promised.pop()[1]()
    job.cancel()
    scope.cancel_all()
    with pytest.raises(Cancelled):
        await asyncio.to_thread(list, job)
    assert [progress for _, progress in told.reports].count(None) == 1
    assert told.reports[-1][1] is None
