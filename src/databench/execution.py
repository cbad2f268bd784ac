"""One job under way: chunks go out to its engine, answers come in, until its end.

Owns which answers are kept, in which order the consumer gets them and how a job ends. Decodes results only when the
consumer takes them. Knows an Engine only by its contract, and of the handler only what Owner says.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

from databench.engines.contract import Order
from databench.errors import Cancelled, JobError, PayloadError, RemoteProtocolError, TaskError
from databench.failures import job_error, lost_item, task_error, unreadable
from databench.feeding import Feed
from databench.progress import Meter, Progress, Reported, Reporter
from databench.waking import wake
from databench.wire.chunks import Failure, Results, failures_in
from databench.wire.parts import Source

log = logging.getLogger(__name__)

KEPT_ERRORS = 1_000
"""Failures that `job.errors` keeps of a job that collects them."""

End = BaseException | Literal["finished", "cancelled", "stopped"]
Step = list[Any] | Literal["wait", "again", "over"]
"""The results of a chunk, or what else the consumer is to do."""


class Live(Reported, Protocol):
    """A job that is under way, as its owner sees it."""

    def stop(self) -> None:
        """End it with its scope: whoever waits for it gets Cancelled. From any thread."""


class Owner(Protocol):
    """What a job needs to know of whoever it belongs to."""

    @property
    def clock(self) -> Callable[[], float]:
        """Tells the time in seconds."""

    def check(self) -> None:
        """Raise Cancelled when the handler is to stop."""

    def add(self, job: Live) -> Reporter | None:
        """Take in a job that begins; return who tells of its progress."""

    def remove(self, job: Live) -> None:
        """Let go of a job that is over."""


class _Answer(NamedTuple):
    chunk: int
    seconds: float
    reason: str | None
    payload: Source


class Execution:
    """A job between its feed and its consumer. The engine's side may be called from any thread."""

    def __init__(self, owner: Owner, feed: Feed, *, ordered: bool) -> None:
        self.name = feed.order.job
        self.owner = owner
        self.changed = threading.Condition()
        self.end: End | None = None
        self.chunk = -1
        """Number of the chunk that the consumer got last."""
        self._feed = feed
        self._ordered = ordered
        self._arrived: list[_Answer] = []
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None
        self._held: dict[int, _Answer] = {}
        self._given: list[Any] = []
        self._errors: list[TaskError] = []
        self._meter = Meter(owner.clock())
        self._reporter = owner.add(self)
        try:
            self._fill()
        except PayloadError:
            raise
        except Exception as error:
            # The iterable's own: `end` keeps it for the consumer.
            log.debug("the items of a job raised %r", error)
        if self._reporter is not None:
            self._reporter.happened()

    @property
    def progress(self) -> Progress:
        """How far the job is, in items and seconds."""
        with self.changed:
            running = self._feed.items.taken - self._meter.done if self.end is None else 0
            return self._meter.progress(max(running, 0), self._feed.items.total, self.owner.clock())

    @property
    def counts(self) -> tuple[int, int, int | None]:
        """Items that were taken, that were answered, and all of them where that is known."""
        return (
            self._feed.items.taken if self.end is None else self._meter.done,
            self._meter.done,
            self._feed.items.total,
        )

    @property
    def errors(self) -> list[TaskError]:
        """The failures among the results that the consumer got, by item."""
        return sorted(self._errors, key=lambda error: error.item)

    @property
    def news(self) -> bool:
        """Whether a step has something to do."""
        return bool(self._arrived) or self.end is not None

    def probing(self) -> float | None:
        """Return after how many seconds to take a step although there are no news; None for no such time."""
        return self._feed.probing()

    def wake(self, loop: asyncio.AbstractEventLoop, waiter: "asyncio.Future[None]") -> bool:
        """Have the waiter resolved when there are news; return False where there are some already."""
        with self.changed:
            if not self.news:
                self._waiter = (loop, waiter)
            return not self.news

    # For the engine (any thread)

    def done(self, chunk: int, seconds: float, payload: Source) -> None:
        """Take the results of a chunk."""
        self._arrive(_Answer(chunk, seconds, None, payload))

    def failed(self, chunk: int, reason: str, payload: bytes) -> None:
        """Learn that a chunk failed."""
        self._arrive(_Answer(chunk, 0.0, reason, payload))

    def stop(self) -> None:
        """End the job with its scope: whoever waits for it gets Cancelled."""
        self.over("stopped")

    def _arrive(self, answer: _Answer) -> None:
        with self.changed:
            ahead = self._feed.ahead.get(answer.chunk)
            if self.end is not None or ahead is None or ahead.answered:
                return
            ahead.answered = True
            items = len(ahead.span)
            if answer.reason is None:
                failed = failures_in(answer.payload)
            else:
                failed = items = items if self._feed.collect else 1
            self._meter.add(items, failed, self.owner.clock())
            self._arrived.append(answer)  # at most one for each chunk of the look-ahead
            self._wake()
        if self._reporter is not None:
            self._reporter.answered(items, failed)

    def _wake(self) -> None:
        self.changed.notify_all()
        if self._waiter is not None:
            loop, waiter = self._waiter
            self._waiter = None
            wake(loop, waiter)

    def over(self, end: End) -> None:
        """End the job, unless it is over. From any thread."""
        with self.changed:
            if self.end is not None:
                return
            self.end = end
            self._meter.end(self.owner.clock())
            self._arrived.clear()
            if end in ("cancelled", "stopped"):
                self._given.clear()  # whoever iterates over them ends there
            self._wake()
        if end != "finished":
            self._feed.engine.cancel(self.name)
        self.owner.remove(self)
        if self._reporter is not None:
            self._reporter.over(self)

    # For the consumer

    def step(self) -> Step:
        """Take in what has come, submit what there is room for, and return the next results if there are some.

        Raises what ended the job.
        """
        self._sort()
        chunk = self._take()
        more = self._fill()
        match self.end:
            case BaseException():
                raise self.end
            case "stopped":
                raise Cancelled
            case "cancelled":
                return "over"
        if chunk is not None:
            return chunk
        if more:
            return "again"
        if self._feed.over:
            self.over("finished")
            return "over"
        return "wait"

    def _sort(self) -> None:
        """Take in what has arrived. Unless failures are collected, the first one ends the job."""
        with self.changed:
            arrived, self._arrived = self._arrived, []
        for answer in arrived:
            if answer.reason is None:
                self._feed.answered(answer.chunk, answer.seconds, len(answer.payload))
            elif (error := self._fatal(answer)) is not None:
                return self.over(error)
            self._held[answer.chunk] = answer
        return None

    def _fatal(self, answer: _Answer) -> JobError | None:
        """Return the error by which a chunk ends the job; None where its items come as errors."""
        assert answer.reason is not None
        try:
            failure = Failure.from_bytes(answer.payload)
        except RemoteProtocolError as error:
            return unreadable(error)
        if self._feed.collect and answer.reason in ("lost", "timeout"):
            return None
        span = self._feed.ahead[answer.chunk].span
        if failure.item is not None and not 0 <= failure.item < len(span):
            return unreadable(RemoteProtocolError(f"there is no item {failure.item} in a chunk of {len(span)}"))
        return job_error(answer.reason, failure, span, self._feed.order.timeout)

    def _take(self) -> list[Any] | None:
        """Decode the chunk that is next: until then results are kept as the few bytes that came."""
        number = self.chunk + 1 if self._ordered else next(iter(self._held), -1)
        if (answer := self._held.pop(number, None)) is None:
            return None
        self.chunk = number
        with self.changed:
            span = self._feed.given(number)
        try:
            self._given = self._decoded(answer, span)
            return self._given
        except RemoteProtocolError as error:
            self.over(unreadable(error))
            return None

    def _decoded(self, answer: _Answer, span: range) -> list[Any]:
        if answer.reason is not None:
            failure = Failure.from_bytes(answer.payload)
            lost = [lost_item(answer.reason, failure, item, self._feed.order.timeout) for item in span]
            self._keep(lost)
            return lost
        results = Results.from_bytes(answer.payload)
        if len(results.values) != len(span):
            raise RemoteProtocolError(f"{len(results.values)} results for {len(span)} items")
        for failure in results.failures:
            assert failure.item is not None
            error = task_error(failure, span[failure.item])
            results.values[failure.item] = error
            self._keep([error])
        return results.values

    def _keep(self, errors: list[TaskError]) -> None:
        self._errors += errors[: KEPT_ERRORS - len(self._errors)]

    def _fill(self) -> bool:
        """Submit chunks for a moment, within the look-ahead; return whether there is more to submit."""
        if self.end is not None:
            return False
        try:
            return self._feed.run(self._submit)
        except BaseException as error:
            self.over(error)
            raise

    def _submit(self, order: Order, payload: Source) -> bool:
        # Under the lock: the engine gets nothing of a job after it was told to cancel it.
        with self.changed:
            if self.end is None:
                self._feed.engine.submit(order, payload, self)
            return self.end is None
