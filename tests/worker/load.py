"""Jobs of all kinds that run all the time, and what is right about each of them. Knows nothing of faults."""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from types import ModuleType

import pytest

from databench import jobs
from databench.engines.contract import Engine
from databench.errors import JobError, TaskError
from databench.jobs import Job, JobScope

AT_ONCE = 6
"""Jobs under way."""
ENOUGH = 100_000
"""Retries that no number of faults uses up."""
STATED = (
    r"^items? \d+( to \d+)?: lost: "
    r"(killed by signal 9 \(SIGKILL\)|ended with |its worker joined anew$"
    r"|the worker \S+ (has ended$|was started again$|was silent for ))"
)
"""How a job whose retries are used up says what ended its chunk."""

Kind = Callable[[JobScope], Awaitable[None]]


class Load:
    """Jobs from several sessions, one after the other in each, as a seed has it; each checks its own results."""

    def __init__(self, engine: Engine, chores: ModuleType, seed: int) -> None:
        self.over = False
        """Set to begin no further job."""
        self.finished: Counter[str] = Counter()
        """Jobs that were as they should be, by kind."""
        self.lost = 0
        """Jobs that failed since the few retries that they had were used up, and said so."""
        self._engine = engine
        self._chores = chores
        self._dice = random.Random(seed)
        self._kinds: tuple[Kind, ...] = (
            self.ordered,
            self.unordered,
            self.in_a_thread,
            self.generated,
            self.collected,
            self.single,
            self.large,
            self.raising,
            self.too_long,
            self.cancelled,
            self.few_retries,
        )

    async def run(self) -> None:
        """Run jobs until no further one is wanted and all are over. Raises AssertionError for a wrong result."""
        async with asyncio.TaskGroup() as sessions:
            for number in range(AT_ONCE):
                sessions.create_task(self._session(number))

    async def _session(self, number: int) -> None:
        scope = JobScope(self._engine, group=f"session {number}")
        while not self.over:
            kind = self._dice.choice(self._kinds)
            await kind(scope)
            self.finished[kind.__name__] += 1
        assert scope.jobs == []

    async def ordered(self, scope: JobScope) -> None:
        """Results in the order of the items, in chunks whose size is learned."""
        count = self._dice.randrange(1, 2_000)
        job = jobs.begin_map(scope, self._chores.double, (range(count),), ordered=True, retries=ENOUGH)
        assert [x async for x in job] == list(range(0, 2 * count, 2))
        assert job.progress.done == count

    async def unordered(self, scope: JobScope) -> None:
        """Results as they come, one item a chunk."""
        count = self._dice.randrange(1, 40)
        job = jobs.begin_map(scope, self._chores.napping_double, (range(count),), chunk=1, retries=ENOUGH)
        assert sorted([x async for x in job]) == list(range(0, 2 * count, 2))

    async def in_a_thread(self, scope: JobScope) -> None:
        """Results for a plain handler."""
        count = self._dice.randrange(1, 300)
        job = jobs.begin_map(scope, self._chores.double, (range(count),), chunk=5, retries=ENOUGH)
        assert sorted(await asyncio.to_thread(list, job)) == list(range(0, 2 * count, 2))

    async def generated(self, scope: JobScope) -> None:
        """Items that a generator makes."""
        count = self._dice.randrange(1, 300)
        items = (x for x in range(count))
        job = jobs.begin_map(scope, self._chores.double, (items,), chunk=self._dice.choice(["auto", 3]), retries=ENOUGH)
        assert await job == list(range(0, 2 * count, 2))

    async def collected(self, scope: JobScope) -> None:
        """Failures among the results."""
        job = jobs.begin_map(
            scope, self._chores.stumble, (range(40),), chunk=4, ordered=True, errors="collect", retries=ENOUGH
        )
        results = [x if isinstance(x, int) else None async for x in job]
        assert results == [None if x % 10 in (1, 3, 5, 7) else x for x in range(40)]
        assert [error.item for error in job.errors] == [x for x in range(40) if x % 10 in (1, 3, 5, 7)]

    async def single(self, scope: JobScope) -> None:
        """Single calls, some of them at the same time."""
        calls = [jobs.begin_submit(scope, self._chores.add, (x, 1), retries=ENOUGH) for x in range(8)]
        assert [await call for call in calls] == list(range(1, 9))

    async def large(self, scope: JobScope) -> None:
        """Large arguments and large results."""
        data = [self._dice.randbytes(2**20) for _ in range(3)]
        job = jobs.begin_map(scope, self._chores.add, (data, [b"!"] * 3), chunk=1, ordered=True, retries=ENOUGH)
        assert [x async for x in job] == [x + b"!" for x in data]

    async def raising(self, scope: JobScope) -> None:
        """A task that raises for one item ends its job."""
        job = jobs.begin_map(scope, self._chores.refuse, (range(60), [23] * 60), chunk=5, retries=ENOUGH)
        with pytest.raises(TaskError, match=r"ValueError: cannot do 23 \(item 23\)"):
            await job

    async def too_long(self, scope: JobScope) -> None:
        """A chunk that takes longer than it may fails its job."""
        with pytest.raises(JobError, match=r"^item 0: timeout: the chunk took longer than 0.1 s$"):
            await jobs.begin_submit(scope, self._chores.nap, (60.0,), timeout=0.1, retries=ENOUGH)

    async def cancelled(self, scope: JobScope) -> None:
        """A job that is cancelled gives no result any more, and none twice until then."""
        job = jobs.begin_map(scope, self._chores.napping_double, (range(200),), chunk=1, retries=ENOUGH)
        results = []
        async for x in job:
            results.append(x)
            if len(results) == 5:
                job.cancel()
        assert len(results) == len(set(results)) == 5
        assert set(results) <= set(range(0, 400, 2))

    async def few_retries(self, scope: JobScope) -> None:
        """A job without retries is right, or says what ended its chunk."""
        retries = self._dice.choice([0, 1])
        job = jobs.begin_map(scope, self._chores.napping_double, (range(20),), chunk=2, retries=retries)
        result = await _outcome(job)
        if isinstance(result, JobError):
            assert re.search(STATED, str(result)), result
            self.lost += 1
        else:
            assert result == list(range(0, 40, 2))


async def _outcome(job: Job[int]) -> list[int] | JobError:
    try:
        return await job
    except JobError as error:
        return error
