"""How a chunk of a task is run, and what comes of it: results, failures of items, or one failure of all.

The same code runs in slots, in threads and on Dask's workers. Knows nothing of jobs, engines and processes.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import starmap
from typing import Any

from databench.errors import PayloadError, RemoteProtocolError
from databench.failures import described
from databench.tasks import known, modules, worker_name
from databench.wire import codec
from databench.wire.chunks import Calls, Failure, Results
from databench.wire.parts import Parts, Source, joined

FAILURE_BYTES = 2**20
"""Tracebacks of a chunk whose failures are collected; beyond that failures travel without."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a chunk went: its results, or the Failure, as a payload."""

    failed: bool
    seconds: float
    parts: Parts

    @property
    def payload(self) -> bytes:
        """All of it in one piece."""
        return joined(self.parts)


def perform(name: str, payload: Source) -> Ran:
    """Run a chunk of the task `name` in this thread; what goes wrong is returned, never raised."""
    if (function := known(name)) is None:
        return _unknown(name)
    started = time.perf_counter()
    try:
        return _performed(function, payload, started)
    except MemoryError as error:
        return _failed(described(error, None, None), started)


def _performed(function: Callable[..., object], payload: Source, started: float) -> Ran:
    """Run a chunk; raises MemoryError where there is no room for its arguments or its results."""
    try:
        calls = Calls.from_bytes(payload)
    except RemoteProtocolError as error:
        if isinstance(error.__context__, MemoryError):
            raise error.__context__ from None
        return _failed(described(error, None, None), started)
    run = _Run(function, calls)
    if (failure := run.make_calls()) is not None:
        return _failed(failure, started)
    seconds = time.perf_counter() - started
    try:
        return Ran(False, seconds, run.packed())
    except PayloadError as error:
        return _failed(Failure(run.unsendable, *_unsendable(error)), started)


class _Run:
    """The calls of one chunk and what came of them so far."""

    def __init__(self, function: Callable[..., object], calls: Calls) -> None:
        self.unsendable: int | None = None
        """Index of the result that kept the results from being packed."""
        self._calls = calls
        self._values: list[Any] = []
        self._failures: list[Failure] = []
        self._failure_bytes = 0
        # A map goes on behind a call that has raised, and costs half of a loop.
        self._results = starmap(function, calls) if calls.star else map(function, *calls.columns)

    def make_calls(self) -> Failure | None:
        """Make the calls; return the failure of the first that raises, unless failures are collected."""
        while (failure := self._until_one_raises()) is not None and self._calls.collect:
            self._failures.append(failure)
            self._failure_bytes += len(failure.traceback)
            self._values.append(None)
        return failure

    def _until_one_raises(self) -> Failure | None:
        try:
            self._values.extend(self._results)
        except BaseException as error:
            # sys.exit() in a task too: it is the task that ends, not the slot
            return self._described(error)
        if len(self._values) < len(self._calls):  # the iteration took it for its end
            return self._described(StopIteration("the task raised StopIteration"))
        return None

    def _described(self, error: BaseException) -> Failure:
        trace = error.__traceback__  # its first frame is ours
        full = self._failure_bytes < FAILURE_BYTES
        return described(error, len(self._values), trace.tb_next if trace else None, full=full)

    def packed(self) -> Parts:
        """Return the results; raises PayloadError for what cannot be sent, unless that is collected too."""
        try:
            return Results(self._values, self._failures).to_parts()
        except PayloadError as error:
            self._find_unsendable(error)
        return Results(self._values, sorted(self._failures, key=lambda failure: failure.item or 0)).to_parts()

    def _find_unsendable(self, error: PayloadError) -> None:
        found = False
        for index, value in enumerate(self._values):
            try:
                codec.pack(value)
            except PayloadError as single:
                found = True
                self.unsendable = index
                if not self._calls.collect:
                    raise single from None
                self._failures.append(Failure(index, *_unsendable(single)))
                self._values[index] = None
        if not found:
            size = len(self._values)
            raise PayloadError(f"{error} (the results of {size} items together: give a smaller chunk=)") from None


def _failed(failure: Failure, started: float) -> Ran:
    return Ran(True, time.perf_counter() - started, [failure.to_bytes()])


def _unsendable(error: PayloadError) -> tuple[str, str, str]:
    message = f"what the task returned cannot be sent: {error}"
    return "PayloadError", message, f"PayloadError: {message}\n"


def _unknown(name: str) -> Ran:
    message = (
        f"the task {name} is not known on {worker_name()}, which knows tasks of "
        f"{', '.join(modules()) or 'no module'}; do all workers have the same analyses?"
    )
    return Ran(True, 0.0, [Failure(None, "AnalysisError", message, f"AnalysisError: {message}\n").to_bytes()])
