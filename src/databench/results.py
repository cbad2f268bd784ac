"""A job's results, as authors get them: iterated over or gathered, in a thread or on the loop.

Owns how a consumer waits. What comes next, and how a job ends, is the Execution's.
"""

import asyncio
from collections.abc import Generator, Iterator
from itertools import chain, islice
from operator import length_hint
from typing import Any, Generic, Self, TypeVar

from databench.errors import JobError, TaskError
from databench.execution import Execution
from databench.progress import Progress
from databench.waking import refuse_loop, resolve

R = TypeVar("R")

TURN = 0.005
"""Seconds for which an `async for` may go on without letting others have their turn."""
_SLICE = 256
"""Results after which it looks at the clock."""


class Job(Generic[R]):
    """Results of a task for many items, as they come. Made by `map` and `starmap`; one consumer at a time.

    `for x in job` in a plain handler, `async for x in job` in an async one; `job.result()` or `await job`
    for the list of all, in the order of the items. Leaving `with job:` cancels what is not finished.
    After `cancel` an iteration ends without a word, and `result` raises JobError.

    Raises TaskError when the task raised for an item, JobError when a chunk was lost more than `retries`
    times or took longer than `timeout`, and whatever the iterables raise. The rest of the job is cancelled
    then. With `errors="collect"` items that failed come as a TaskError in place of their result.
    """

    def __init__(self, execution: Execution) -> None:
        self.name = execution.name
        self._execution = execution
        self._stream: Iterator[R] = iter(())
        self._ready = self._stream
        self._turn = 0.0
        self._result: list[R] | None = None

    @property
    def progress(self) -> Progress:
        """How far the job is, in items and seconds."""
        return self._execution.progress

    @property
    def errors(self) -> list[TaskError]:
        """With `errors="collect"`: the failures among the results so far, by item; the first 1,000 that came."""
        return self._execution.errors

    def cancel(self) -> None:
        """Cancel what is not finished. From any thread; does nothing to a job that is over.

        When it returns, no item is taken and no result comes any more, and the engine has the order to end what
        runs: on the bus the slots are free as soon as that order has travelled.
        """
        self._execution.over("cancelled")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.cancel()

    # In threads

    def __iter__(self) -> Iterator[R]:
        return chain.from_iterable(self._runs())

    def _runs(self) -> Iterator[Iterator[R]]:
        """Yield what holds the next results, again and again: no step of Python per item."""
        yield self._ready
        while self._advance():
            yield self._ready

    def __next__(self) -> R:
        for value in self:
            return value
        raise StopIteration

    def result(self) -> list[R]:
        """Wait for all results that were not yet iterated over and return them in the order of the items."""
        if self._result is None:
            chunks = {-1: self._left()}
            while (values := self._wait()) is not None:
                chunks[self._execution.chunk] = values
            self._gather(chunks)
        return self._gathered()

    def _advance(self) -> bool:
        """Have the next results ready; return whether there are any."""
        if not length_hint(self._stream):  # an `async for` may have left some
            if (values := self._wait()) is None:
                return False
            self._stream = iter(values)
        self._ready = self._stream
        return True

    def _wait(self) -> list[Any] | None:
        """Wait for the results of a chunk; None when the job is over."""
        refuse_loop()
        execution = self._execution
        while True:
            execution.owner.check()
            match execution.step():
                case list() as values:
                    return values
                case "over":
                    return None
                case "wait":
                    with execution.changed:
                        execution.changed.wait_for(lambda: execution.news, execution.probing())

    # On the loop

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> R:
        for value in self._ready:
            return value
        while await self._advance_async():
            for value in self._ready:
                return value
        raise StopAsyncIteration

    def __await__(self) -> Generator[Any, None, list[R]]:
        return self._result_async().__await__()

    async def _result_async(self) -> list[R]:
        if self._result is None:
            chunks = {-1: self._left()}
            while (values := await self._wait_async()) is not None:
                chunks[self._execution.chunk] = values
                await self._pause()
            self._gather(chunks)
        return self._gathered()

    async def _advance_async(self) -> bool:
        await self._pause()
        if not length_hint(self._stream):
            if (values := await self._wait_async()) is None:
                return False
            self._stream = iter(values)
        self._ready = islice(self._stream, _SLICE)
        return True

    async def _pause(self) -> None:
        """Let others have their turn where results come without waiting for them."""
        clock = self._execution.owner.clock
        if clock() - self._turn > TURN:
            await asyncio.sleep(0)
            self._turn = clock()

    async def _wait_async(self) -> list[Any] | None:
        execution = self._execution
        while True:
            match execution.step():
                case list() as values:
                    return values
                case "over":
                    return None
                case "again":
                    await asyncio.sleep(0)  # others get their turn between two slices of a long look-ahead
                case _:
                    await self._news()
            self._turn = execution.owner.clock()

    async def _news(self) -> None:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        if not self._execution.wake(loop, waiter):
            return
        probing = self._execution.probing()
        timer = None if probing is None else loop.call_later(probing, resolve, waiter)
        try:
            await waiter
        finally:
            if timer is not None:
                timer.cancel()

    # Both

    def _left(self) -> list[R]:
        return [*self._ready, *self._stream]

    def _gather(self, chunks: dict[int, list[R]]) -> None:
        if self._execution.end == "finished":
            self._result = [value for number in sorted(chunks) for value in chunks[number]]

    def _gathered(self) -> list[R]:
        if self._result is None:
            raise JobError("the job was cancelled")
        return self._result
