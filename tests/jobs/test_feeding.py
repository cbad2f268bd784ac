"""How items are taken from the author's iterables, how many are ahead, and what of a job is in memory."""

import gc
import itertools
import threading
import tracemalloc
from collections import deque
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from databench import jobs
from databench.engines.contract import Order, Sink
from databench.engines.local import LocalEngine
from databench.errors import PayloadError
from databench.feeding import AHEAD_BYTES, LOOKAHEAD, PROBING, Items
from databench.jobs import JobScope, perform
from databench.seeding import seeds
from databench.wire.chunks import Calls
from databench.wire.parts import Parts, Source, joined


class Held:
    """An engine that answers when the test says so."""

    def __init__(self, capacity: int = 2) -> None:
        self.capacity = capacity
        self.orders: deque[tuple[Order, Source, Sink]] = deque()
        self.cancelled: list[str] = []

    def hold(self, task: str, parts: Parts) -> bytes:
        return joined(parts)

    def submit(self, order: Order, payload: Source, sink: Sink) -> None:
        self.orders.append((order, payload, sink))

    def cancel(self, job: str) -> None:
        self.cancelled.append(job)

    def answer(self, n: int = 1, each: float = 1e-6) -> int:
        """Answer chunks, whose items take so many seconds each; return the number of items of the last one."""
        items = 0
        for _ in range(n):
            order, payload, sink = self.orders.popleft()
            items = len(Calls.from_bytes(payload))
            sink.done(order.chunk, items * each, perform(order.task, payload).payload)
        return items


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("iterables", "total"),
    [
        ([range(5)], 5),
        ([range(5), [1, 2, 3]], 3),
        ([iter(range(5))], None),
        ([range(5), iter(())], None),
        ([range(5), itertools.count()], 5),
        ([range(5), itertools.repeat(1), itertools.cycle("ab")], 5),
        ([range(5), itertools.repeat(1, 2)], 2),
        ([range(5), seeds(1)], 5),
        ([range(5), seeds(1, 4)], 4),
        ([itertools.count()], None),
    ],
)
def test_the_total_is_known_where_the_shortest_iterable_is(iterables: list[Any], total: int | None) -> None:
    assert Items.of(iterables).total == total


def test_the_total_is_known_at_the_end_at_the_latest() -> None:
    items = Items.of([iter("abc")])
    assert (items.take(2), items.total) == (["a", "b"], None)
    assert (items.take(2), items.total) == (["c"], 3)
    assert items.over


async def test_starmap_takes_all_arguments_from_one_iterable(chores: ModuleType) -> None:
    with LocalEngine(2) as engine:
        scope = JobScope(engine)
        rows: list[Any] = [(1,), (1, 2), [1, 2, 3], iter((1, 2, 3, 4))]
        assert await jobs.begin_starmap(scope, chores.total, rows, chunk=3) == [1, 3, 6, 10]


def test_while_chunks_grow_two_for_each_slot_are_ahead(chores: ModuleType) -> None:
    engine, clock = Held(capacity=3), Clock()
    job = jobs.begin_map(JobScope(engine, clock=clock), chores.double, (itertools.count(),))
    sizes, ahead = [], [6]
    while ahead[-1] < LOOKAHEAD:
        ahead.append(len(engine.orders))
        sizes.append(engine.answer(each=1e-5))
        deque(itertools.islice(job, sizes[-1]), maxlen=0)
    assert set(ahead[:-1]) == {6}
    assert (sizes[0], max(sizes)) == (1, 1024)
    job.cancel()


def test_while_slow_items_are_awaited_more_chunks_are_handed_out(chores: ModuleType) -> None:
    engine, clock = Held(capacity=3), Clock()
    with jobs.begin_map(JobScope(engine, clock=clock), chores.double, (itertools.count(),)) as job:
        engine.answer()
        next(job)
        assert len(engine.orders) == 6
        clock.now += PROBING
        engine.answer()
        next(job)
        assert len(engine.orders) == 6
        clock.now += 2 * PROBING
        assert job._execution.probing() is None
        job._execution.step()
        assert len(engine.orders) == LOOKAHEAD


class Releasing(LocalEngine):
    """An engine that lets items go when it has had so many chunks."""

    def __init__(self, chunks: int) -> None:
        super().__init__(2)
        self._chunks = chunks

    def submit(self, order: Order, payload: Source, sink: Sink) -> None:
        super().submit(order, payload, sink)
        self._chunks -= 1
        if self._chunks == 0:
            released.set()


released = threading.Event()


@jobs.task
def held(number: int) -> int:
    """Take as long as the engine wants."""
    released.wait(50)
    return number


def test_slow_items_are_all_handed_out_soon(chores: ModuleType) -> None:
    released.clear()
    with Releasing(8) as engine, jobs.begin_map(JobScope(engine), held, (range(8),)) as job:
        next(job)  # none comes before all are handed out
        assert job.progress.running + job.progress.done == 8


def test_while_there_is_no_slot_chunks_wait_for_many(chores: ModuleType) -> None:
    engine = Held(capacity=0)
    jobs.begin_map(JobScope(engine, clock=Clock()), chores.double, (itertools.count(),)).cancel()
    assert len(engine.orders) == LOOKAHEAD
    assert len(engine.cancelled) == 1


def test_arguments_that_are_ahead_are_bounded_in_bytes_too(chores: ModuleType) -> None:
    engine = Held()
    items = [bytes(AHEAD_BYTES // 8)] * 100
    with jobs.begin_map(JobScope(engine, clock=Clock()), chores.length, (items,), chunk=1) as job:
        assert len(engine.orders) == 8
        engine.answer()
        next(job)
        assert len(engine.orders) == 8


def test_results_that_will_come_are_counted_in_bytes_as_soon_as_one_has_come(chores: ModuleType) -> None:
    engine = Held()
    with jobs.begin_map(JobScope(engine, clock=Clock()), chores.large, ([AHEAD_BYTES // 8] * 200,), chunk=1) as job:
        for _ in range(100):
            engine.answer()
            next(job)
        assert len(engine.orders) == 8


def test_however_large_items_are_every_slot_has_two(chores: ModuleType) -> None:
    engine = Held(capacity=40)
    with jobs.begin_map(JobScope(engine, clock=Clock()), chores.length, ([bytes(2**20)] * 100,), chunk=1):
        assert len(engine.orders) == 80


def test_a_job_that_is_cancelled_hands_nothing_out_any_more(chores: ModuleType) -> None:
    engine = Held()

    def items() -> Iterator[int]:
        for item in itertools.count():
            if item == 70:
                job.cancel()
            yield item

    job: Any = None
    job = jobs.begin_map(JobScope(engine, clock=Clock()), chores.double, (items(),), chunk=1)
    assert len(engine.orders) == LOOKAHEAD
    engine.answer(20)
    assert [len(list(job)), len(engine.orders)] == [6, 50]


def test_the_argument_that_cannot_be_sent_is_named(chores: ModuleType) -> None:
    rows = itertools.chain([(1, 2), (3, object())])
    with pytest.raises(PayloadError, match="argument 2 of item 1: payload is of type object"):
        jobs.begin_starmap(JobScope(Held(), clock=Clock()), chores.add, rows, chunk=10)


def test_items_that_are_too_large_together_travel_one_by_one_or_tell_what_to_do(chores: ModuleType) -> None:
    sizes = [1] * 20 + [30 * 2**20] * 4
    with LocalEngine(2) as engine:
        scope = JobScope(engine)
        results = jobs.begin_map(scope, chores.length, ([bytes(size) for size in sizes],), ordered=True).result()
        assert results == sizes
        with pytest.raises(PayloadError, match="arguments of 3 items together: give a smaller chunk="):
            jobs.begin_map(scope, chores.length, ([bytes(30 * 2**20)] * 3,), chunk=3)


def test_a_million_items_are_never_in_memory_at_once(chores: ModuleType) -> None:
    with LocalEngine(2) as engine:
        gc.collect()
        tracemalloc.start()
        try:
            job = jobs.begin_map(JobScope(engine), chores.double, (iter(range(1_000_000)),))
            results = sum(1 for _ in job)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert results == 1_000_000
    assert peak < 32 * 2**20
