"""One call of a task, as `submit` begins it: a job without items to cut into chunks, to order or to look ahead for.

Owns how it ends and who waits for that. Decodes the result only when somebody takes it. Knows an Engine only by its
contract, and of the handler only what Owner says.
"""

import asyncio
import threading
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, Generic, Literal, TypeVar

from databench.engines.contract import Engine, Order
from databench.errors import Cancelled, JobError, PayloadError, RemoteProtocolError
from databench.execution import Owner
from databench.failures import job_error, unreadable
from databench.progress import Meter, Progress
from databench.waking import refuse_loop, wake
from databench.wire import codec
from databench.wire.chunks import Calls, Failure, Results
from databench.wire.parts import Source

R = TypeVar("R")

_ALONE = range(1)
"""The only item of the only chunk."""


class Call:
    """The job behind a Submitted. The engine's side may be called from any thread.

    Raises PayloadError for an argument that cannot be sent, Cancelled when the handler is to stop.
    """

    __slots__ = (
        "_begun",
        "_ended",
        "_engine",
        "_lock",
        "_outcome",
        "_payload",
        "_reason",
        "_reporter",
        "_timeout",
        "_wakes",
        "end",
        "name",
        "owner",
    )

    def __init__(self, owner: Owner, engine: Engine, order: Order, arguments: Sequence[Any]) -> None:
        payload = engine.hold(order.task, _packed(arguments))
        self.name = order.job
        self.owner = owner
        self.end: Literal["answered", "cancelled", "stopped"] | None = None
        self._engine = engine
        self._timeout = order.timeout
        self._lock = threading.RLock()  # an engine may answer at once
        self._wakes: list[Callable[[], object]] = []
        self._reason: str | None = None
        self._payload: Source | None = None
        self._outcome: Any = None
        self._begun = self._ended = owner.clock()
        self._reporter = owner.add(self)
        # Under the lock: the engine gets nothing of a job after it was told to cancel it.
        with self._lock:
            if self.end is None:
                engine.submit(order, payload, self)
        if self._reporter is not None:
            self._reporter.happened()

    @property
    def counts(self) -> tuple[int, int, int | None]:
        """Items that were taken, that were answered, and all of them: at most one."""
        done = int(self.end == "answered")
        return (1 if self.end is None else done, done, 1)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        taken, done, total = self.counts
        meter = Meter(self._begun)
        if done:
            meter.add(done, int(self._reason is not None), self._ended)
        if self.end is not None:
            meter.end(self._ended)
        return meter.progress(taken - done, total, self.owner.clock())

    # For the engine (any thread)

    def done(self, chunk: int, seconds: float, payload: Source) -> None:
        """Take the result."""
        self._over("answered", None, payload)

    def failed(self, chunk: int, reason: str, payload: bytes) -> None:
        """Learn that the call failed."""
        self._over("answered", reason, payload)

    # For the owner and the consumer (any thread)

    def stop(self) -> None:
        """End the call with its scope: whoever waits for it gets Cancelled."""
        self._cancel("stopped")

    def cancel(self) -> None:
        """End the call: whoever waits for it gets JobError."""
        self._cancel("cancelled")

    def when_over(self, call: Callable[[], object]) -> bool:
        """Have this called, from any thread, as soon as there is an outcome; return False where there is one."""
        with self._lock:
            if self.end is None:
                self._wakes.append(call)
            return self.end is None

    def outcome(self) -> Any:
        """Return what the task returned, or raise what ended the call; once it is over."""
        if self.end == "stopped":
            raise Cancelled
        if self.end == "cancelled":
            raise JobError("the job was cancelled")
        if self._payload is not None:
            self._outcome, self._payload = self._read(self._payload), None
        if self._reason is not None:
            raise self._outcome
        return self._outcome

    def _cancel(self, end: Literal["cancelled", "stopped"]) -> None:
        if self._over(end, None, None):
            self._engine.cancel(self.name)

    def _over(
        self, end: Literal["answered", "cancelled", "stopped"], reason: str | None, payload: Source | None
    ) -> bool:
        """End the call; return False where it has ended before."""
        with self._lock:
            if self.end is not None:
                return False
            self._ended = self.owner.clock()
            self._reason, self._payload = reason, payload
            self.end = end
        for call in self._wakes:
            call()
        self.owner.remove(self)
        if self._reporter is not None:
            if end == "answered":
                self._reporter.answered(1, int(reason is not None))
            self._reporter.over(self)
        return True

    def _read(self, payload: Source) -> Any:
        """Return the result, or the error that is raised in its place."""
        try:
            if self._reason is None:
                values = Results.from_bytes(payload).values
                if len(values) != 1:
                    raise RemoteProtocolError(f"{len(values)} results for one call")
                return values[0]
            failure = Failure.from_bytes(payload)
            if failure.item:
                raise RemoteProtocolError(f"there is no item {failure.item} in one call")
            return job_error(self._reason, failure, _ALONE, self._timeout)
        except RemoteProtocolError as error:
            self._reason = "unreadable"
            return unreadable(error)


class Submitted(Generic[R]):
    """One call of a task, made by `submit`: `result()` in a plain handler, `await` in an async one."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def result(self) -> R:
        """Wait for what the task returns. Raises TaskError, JobError or Cancelled as a Job does."""
        refuse_loop()
        call = self._call
        call.owner.check()
        if call.end is None:
            over = threading.Event()
            if call.when_over(over.set):
                over.wait()
        result: R = call.outcome()
        return result

    def __await__(self) -> Generator[Any, None, R]:
        return self._awaited().__await__()

    async def _awaited(self) -> R:
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        if self._call.when_over(partial(wake, loop, waiter)):
            await waiter
        else:
            await asyncio.sleep(0)  # others get their turn between many results that are here
        result: R = self._call.outcome()
        return result

    @property
    def progress(self) -> Progress:
        """How far it is: one item, which is done when the result is here."""
        return self._call.progress

    def cancel(self) -> None:
        """Cancel the call unless it is over; `result` raises JobError then."""
        self._call.cancel()


def _packed(arguments: Sequence[Any]) -> Any:
    try:
        return Calls([[arguments]], star=True).to_parts()
    except PayloadError:
        for position, argument in enumerate(arguments, 1):
            try:
                codec.pack(argument)
            except PayloadError as error:
                raise PayloadError(f"argument {position}: {error}") from None
        raise
