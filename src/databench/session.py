"""A session: one viewer's live use of one analysis, as the author's code and the runner see it.

Owns the feed of its viewers, its state, and the waiting for room. Handlers run in
`databench.handling`. Knows no socket: frames leave through `deliver`.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from threading import get_ident
from typing import Any, TypeVar, Unpack

from databench.errors import AnalysisError, Cancelled
from databench.flushing import Flushing
from databench.jobs import (
    Job,
    JobScope,
    MapOptions,
    SubmitOptions,
    Submitted,
    begin_map,
    begin_starmap,
    begin_submit,
    current_scope,
)
from databench.runs import Run, current_run
from databench.signals import current_session
from databench.state import State
from databench.wire import codec
from databench.wire.feed import Feed
from databench.wire.log import RESERVED, SessionLog
from databench.wire.messages import NAME_LIMIT, Attached, Ended, Signal

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks for viewers that do not read, while somebody waits for them."""

ANSWER = 0.02
"""Seconds for which the word that a signal was accepted waits for something to travel with."""

NAMES = 1_000
"""Names of signals that a session remembers as valid."""

R = TypeVar("R")
Deliver = Callable[[str, bytes], None]
"""Sends a frame to a viewer, without waiting."""


class Session:
    """One viewer's live use of one analysis. Made by the runner; handlers get it by annotating a parameter.

    `emit`, `cancel` and `state` may be used from any thread; everything else belongs to the thread of the event loop.
    """

    def __init__(
        self,
        analysis: str,
        token: str,
        deliver: Deliver,
        *,
        shared: State | None = None,
        max_payload: int = codec.MAX_PAYLOAD,
    ) -> None:
        self.analysis = analysis
        self.token = token
        self.state = State("state", max_payload=max_payload)
        """Keys and values that all pages of this session see: the newest value of each, also after a reload."""
        self.handled = State("handling")
        """What the pages are told of handlers at work."""
        self.progress = State("progress")
        """What the pages are told of jobs."""
        self.ended = threading.Event()
        self.ending: list[Callable[[], None]] = []
        """What wakes those who wait for something other than room, called when the session ends."""
        self.report: Callable[[str, BaseException], None] = _log_only
        """Takes what a thread of the author raised, from any thread."""
        self.cancelling: Callable[[str], None] = _nothing_runs
        """Cancels the handlers of a signal, from any thread."""
        self._deliver = deliver
        self._max_payload = max_payload
        self._loop = asyncio.get_running_loop()
        self._log = SessionLog()
        self._shared = shared if shared is not None else State("shared")
        self._states = (self.state, self.handled, self.progress, self._shared)
        self._feed = Feed(self._log, self._states)
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._room_async = asyncio.Event()
        self._awaitable = _Room(self)
        self._flushing = Flushing(self._flush)
        self._answering: asyncio.TimerHandle | None = None
        self._loop_thread = get_ident()
        self._names: set[str] = set()
        """Names of signals that were found to be valid."""
        self.state.check = self._goes_on
        for state in self._states:
            state.watch(self._flushing.ask)

    def __repr__(self) -> str:
        return f"<Session of {self.analysis!r}>"

    # For the author

    def emit(self, signal: str, payload: object = None) -> Awaitable[None]:
        """Send a signal to the page; see `Signals.emit`."""
        if type(signal) is not str or signal not in self._names:
            self._check_name(signal)
        data = codec.pack(payload, self._max_payload)
        if get_ident() == self._loop_thread:
            self._emit_from_loop(signal, data)
        else:
            run = current_run.get()
            if run is not None and run.cancelled:
                run.check()
            with self._lock:
                if not self._log.offer(signal, data) and self._wait_for_room(len(data), run):
                    self._log.append(signal, data)
        if not self._flushing.asked:
            self._flushing.ask()
        return self._awaitable

    def map(self, task: Callable[..., R], *iterables: Iterable[Any], **options: Unpack[MapOptions]) -> Job[R]:
        """Run a task for every item on the workers; see `databench.map`."""
        return begin_map(self._scope("map"), task, iterables, **options)

    def starmap(
        self, task: Callable[..., R], arguments: Iterable[Iterable[Any]], **options: Unpack[MapOptions]
    ) -> Job[R]:
        """Run a task for every tuple of arguments on the workers; see `databench.starmap`."""
        return begin_starmap(self._scope("starmap"), task, arguments, **options)

    def submit(self, task: Callable[..., R], *arguments: Any, **options: Unpack[SubmitOptions]) -> Submitted[R]:
        """Run a task once on a worker; see `databench.submit`."""
        return begin_submit(self._scope("submit"), task, arguments, **options)

    def cancel(self, signal: str) -> None:
        """Cancel the handlers of a signal in this session: those that run and those that wait. From any thread.

        An async handler is cancelled as asyncio does it; a plain one gets `databench.Cancelled` at its next
        `emit`, `databench.sleep` or step of a job. Does not wait until they have stopped.
        """
        self.cancelling(signal)

    def check(self) -> None:
        """Raise Cancelled when this handler was cancelled or the session has ended: a plain handler is to stop.

        A `disconnect` handler runs after the end, so that does not stop it.
        """
        run = current_run.get()
        if run is not None:
            run.check()
        if self.ended.is_set() and not (run is not None and run.outlives):
            raise Cancelled(f"the session of {self.analysis!r} has ended")

    def check_thread(self, what: str, instead: str) -> None:
        """Raise AnalysisError on the event loop's thread, which `what` would block."""
        if self._flushing.here():
            raise AnalysisError(f"{what} in an async handler stops everybody else: use `{instead}`")

    def _scope(self, what: str) -> JobScope:
        scope = current_scope.get(None)
        if scope is None or current_session.get(None) is not self:
            raise AnalysisError(
                f"session.{what} was called outside of a handler of that session, with which its jobs would end: call "
                "it inside a function under @….signals.on(…), or in a thread started there by databench.thread"
            )
        return scope

    def _check_name(self, signal: object) -> None:
        if not isinstance(signal, str) or not 0 < len(signal) <= NAME_LIMIT:
            raise AnalysisError(f"a signal's name is a string of 1 to {NAME_LIMIT} characters, not {signal!r}")
        if len(self._names) < NAMES:
            self._names.add(signal)

    def _goes_on(self) -> bool:
        """Return whether pages are still told; raises Cancelled where a plain handler is to stop."""
        if not self._flushing.here():
            self.check()
        return not self.ended.is_set()

    def _wait_for_room(self, size: int, run: Run | None) -> bool:
        """Wait with the lock held; return False where nothing is sent any more, raise Cancelled to stop the caller."""
        if run is None:
            self._wait(lambda: self.ended.is_set() or self._log.room(size))
        else:
            with run.waking(self._wake):
                self._wait(lambda: run.cancelled or self.ended.is_set() or self._log.room(size))
        self.check()
        return not self.ended.is_set()

    def _wait(self, condition: Callable[[], bool]) -> None:
        while not self._room.wait_for(condition, LOOK):
            self._leave_behind()

    def _leave_behind(self) -> None:
        if self._log.leave_behind(time.monotonic()):
            log.warning("%s: a page that does not read is left behind", self.analysis)
            self._room.notify_all()

    def _emit_from_loop(self, signal: str, data: bytes) -> None:
        with self._lock:
            if self.ended.is_set():
                return
            if self._log.overrun(len(data), RESERVED):
                raise AnalysisError(
                    f"the page is too far behind for emit({signal!r}): write `await ….emit(…)` in async handlers that "
                    "emit faster than a page can follow"
                )
            self._log.append(signal, data)

    def tell(self, signal: str, payload: object) -> None:
        """Send a signal of the session itself, for which there is always room; call it on the loop's thread."""
        with self._lock:
            if not self.ended.is_set():
                self._log.append(signal, codec.pack(payload))
        self._flush()

    async def room(self) -> None:
        """Return when the slowest viewer has room for one more signal, or nobody watches."""
        while True:
            with self._lock:
                if self.ended.is_set() or self._log.room():
                    return
                self._leave_behind()
                self._room_async.clear()
            try:
                async with asyncio.timeout(LOOK):
                    await self._room_async.wait()
            except TimeoutError:
                continue

    # For the runner

    @property
    def viewers(self) -> list[str]:
        """The viewers attached."""
        return self._feed.viewers

    def of_page(self, page: str) -> list[str]:
        """Return the viewers of a page."""
        return self._feed.of_page(page)

    def attach(self, viewer: str, page: str, seen: int, *, resumed: bool, heard: int = 0) -> None:
        """Add a viewer that handled signals up to `seen` and broadcasts up to `heard`; it gets what comes after.

        Raises RemoteProtocolError for a number that was never sent.
        """
        with self._lock:
            received = self._feed.attach(viewer, page, seen)
            frame = self._feed.take(viewer)
        self._deliver(viewer, codec.encode(Attached(self.token, resumed, received, heard)) + frame)
        self._flush()

    def detach(self, viewer: str) -> None:
        """Forget a viewer; those who waited for it go on."""
        with self._lock:
            self._feed.detach(viewer)
        self._wake()

    def acknowledge(self, viewer: str, seq: int, state: int) -> None:
        """Note what a viewer has handled; raises RemoteProtocolError for a number not sent to it."""
        with self._lock:
            self._feed.acknowledge(viewer, seq, state)
        self._wake()
        self._flush()

    def accept(self, viewer: str, signal: Signal) -> bool:
        """Return whether this signal of a page is new; raises RemoteProtocolError when one before it is missing."""
        new = self._feed.accept(viewer, signal.seq)
        self._flushing.awaited()
        if self._answering is None:
            self._answering = self._loop.call_later(ANSWER, self._answer)
        return new

    def flush_soon(self) -> None:
        """Send what there is at the end of this turn of the loop; on the loop's thread."""
        self._flushing.ask()

    def _answer(self) -> None:
        self._answering = None
        if self._feed.owing:
            self._flush()
            # The handler may be about to answer: this was no part of a burst.
            self._flushing.awaited()

    def end(self, reason: str) -> None:
        """End the session: nothing is sent any more but this reason, if any, and whoever waits stops."""
        self._flush()
        for state in self._states:
            state.unwatch(self._flushing.ask)
        with self._lock:
            self.ended.set()
            viewers = self._feed.viewers
            for viewer in viewers:
                self._feed.detach(viewer)
            self._log.close()
        for viewer in viewers if reason else ():
            self._deliver(viewer, codec.encode(Ended(reason)))
        self._wake()
        for wake in list(self.ending):
            wake()

    def _wake(self) -> None:
        with self._room:
            self._room.notify_all()
        self._room_async.set()

    def _flush(self) -> None:
        self._flushing.begun()
        for viewer in self._feed.viewers:
            while True:
                with self._lock:
                    frame = self._feed.take(viewer)
                if not frame:
                    break
                self._deliver(viewer, frame)


class _Room:
    """What `emit` returns: awaiting it waits for room, and not awaiting it is allowed."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def __await__(self) -> Generator[Any, Any, None]:
        return self._session.room().__await__()


def _nothing_runs(signal: str) -> None:
    log.debug("no handler of %r runs", signal)


def _log_only(where: str, error: BaseException) -> None:
    log.error("%s raised", where, exc_info=error)
