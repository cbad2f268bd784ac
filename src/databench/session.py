"""A session: one viewer's live use of one analysis, as the author's code and the runner see it.

Owns the log of what was emitted, the viewers' places in it and the waiting for room. Handlers run in
`databench.handling`. Knows no socket: frames leave through `deliver`.
"""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from databench.errors import AnalysisError, Cancelled, RemoteProtocolError
from databench.jobs import JobScope, current_scope
from databench.runs import Run, current_run
from databench.signals import current_session
from databench.wire import codec
from databench.wire.log import RESERVED, SessionLog
from databench.wire.messages import NAME_LIMIT, Ack, Attached, Ended, Signal

log = logging.getLogger(__name__)

BURST = 0.000_3
"""Seconds between two flushes below which a thread emits in a burst; a round trip takes longer."""
GATHER = 0.001
"""Seconds for which the signals of a burst are gathered."""

Deliver = Callable[[str, bytes], None]
"""Sends a frame to a viewer, without waiting."""


class Session:
    """One viewer's live use of one analysis. Made by the runner; handlers get it by annotating a parameter.

    `emit` and `cancel` may be called from any thread; everything else belongs to the thread of the event loop.
    """

    def __init__(self, analysis: str, token: str, deliver: Deliver, max_payload: int = codec.MAX_PAYLOAD) -> None:
        self.analysis = analysis
        self.token = token
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
        self._loop_thread = threading.get_ident()
        self._log = SessionLog()
        self._received = 0
        self._acknowledging = False
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._room_async = asyncio.Event()
        self._flushing = False
        self._flushed = 0.0

    def __repr__(self) -> str:
        return f"<Session of {self.analysis!r}>"

    # For the author

    def emit(self, signal: str, payload: object = None) -> Awaitable[None]:
        """Send a signal to the page; see `Signals.emit`."""
        if not isinstance(signal, str) or not 0 < len(signal) <= NAME_LIMIT:
            raise AnalysisError(f"a signal's name is a string of 1 to {NAME_LIMIT} characters, not {signal!r}")
        data = codec.pack(payload, limit=self._max_payload)
        if threading.get_ident() == self._loop_thread:
            self._emit_from_loop(signal, data)
        else:
            self._emit_from_thread(signal, data)
        return _Room(self)

    def cancel(self, signal: str) -> None:
        """Cancel the handlers of a signal in this session: those that run and those that wait. From any thread.

        An async handler is cancelled as asyncio does it; a plain one gets `databench.Cancelled` at its next
        `emit`, `databench.sleep` or step of a job. Does not wait until they have stopped.
        """
        self.cancelling(signal)

    def check(self) -> None:
        """Raise Cancelled when this handler was cancelled or the session has ended: a plain handler is to stop."""
        run = current_run.get()
        if run is not None:
            run.check()
        if self.ended.is_set():
            raise Cancelled(f"the session of {self.analysis!r} has ended")

    def check_thread(self, what: str, instead: str) -> None:
        """Raise AnalysisError on the event loop's thread, which `what` would block."""
        if threading.get_ident() == self._loop_thread:
            raise AnalysisError(f"{what} in an async handler stops everybody else: use `{instead}`")

    def _emit_from_thread(self, signal: str, data: bytes) -> None:
        run = current_run.get()
        if run is not None and run.cancelled:
            run.check()
        with self._room:
            if self.ended.is_set() or not self._log.room(len(data)):
                self._wait_for_room(len(data), run)
            self._log.append(signal, data)
            if self._flushing:
                return
            self._flushing = True
        self._loop.call_soon_threadsafe(self._flush_soon)

    def _wait_for_room(self, size: int, run: Run | None) -> None:
        if run is None:
            self._room.wait_for(lambda: self.ended.is_set() or self._log.room(size))
        else:
            with run.waking(self._wake):
                self._room.wait_for(lambda: run.cancelled or self.ended.is_set() or self._log.room(size))
        self.check()

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
            if self._flushing:
                return
            self._flushing = True
        # At the end of this turn: what it emits travels together.
        self._loop.call_soon(self._flush)

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
                self._room_async.clear()
            await self._room_async.wait()

    # For the runner

    @property
    def viewers(self) -> list[str]:
        """The viewers attached."""
        return self._log.viewers

    def attach(self, viewer: str, seen: int, *, resumed: bool) -> None:
        """Add a viewer that handled signals up to `seen`; it gets what comes after.

        Raises RemoteProtocolError for a number that was never sent.
        """
        with self._lock:
            gap = self._log.attach(viewer, seen)
        self._deliver(viewer, codec.encode(Attached(self.token, resumed, self._received)) + gap)
        self._flush()

    def detach(self, viewer: str) -> None:
        """Forget a viewer; those who waited for it go on."""
        with self._lock:
            self._log.detach(viewer)
        self._wake()

    def acknowledge(self, viewer: str, seq: int) -> None:
        """Note what a viewer has handled; raises RemoteProtocolError for a number not sent to it."""
        with self._lock:
            self._log.acknowledge(viewer, seq)
        self._wake()
        self._flush()

    def accept(self, signal: Signal) -> bool:
        """Return whether this signal of a page is new; raises RemoteProtocolError when one before it is missing."""
        if signal.seq > self._received + 1:
            raise RemoteProtocolError(f"signal {self._received + 1} is missing, {signal.seq} came", close_code=4003)
        if not self._acknowledging:
            self._acknowledging = True
            # A turn later than the async handlers that begin now, so that it travels with what they emit.
            self._loop.call_soon(self._loop.call_soon, self._flush)
        if signal.seq <= self._received:
            return False
        self._received = signal.seq
        return True

    def end(self, reason: str) -> None:
        """End the session: nothing is sent any more but this reason, if any, and whoever waits stops."""
        self._flush()
        with self._lock:
            self.ended.set()
            viewers = self._log.viewers
            for viewer in viewers:
                self._log.detach(viewer)
        for viewer in viewers if reason else ():
            self._deliver(viewer, codec.encode(Ended(reason)))
        self._wake()
        for wake in list(self.ending):
            wake()

    def _wake(self) -> None:
        with self._room:
            self._room.notify_all()
        self._room_async.set()

    def _flush_soon(self) -> None:
        # Waking the loop for every signal of a plain loop costs more than the signals: in a burst they gather.
        if self._loop.time() - self._flushed < BURST:
            self._loop.call_later(GATHER, self._flush)
        else:
            self._flush()

    def _flush(self) -> None:
        self._flushed = self._loop.time()
        acknowledgement = b""
        if self._acknowledging:
            self._acknowledging = False
            acknowledgement = codec.encode(Ack(self._received))
        with self._lock:
            self._flushing = False
            viewers = self._log.viewers
        for viewer in viewers:
            head = acknowledgement
            while True:
                with self._lock:
                    frame = head + self._log.take(viewer)
                head = b""
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


def sleep(seconds: float) -> None:
    """Sleep in a plain handler; ends at once, with Cancelled, when the session ends or the handler is cancelled.

    In an async handler use `asyncio.sleep`. In a task, which has no session, it is `time.sleep`.
    Raises AnalysisError where sleeping would stop the event loop.
    """
    session = current_session.get(None)
    if not isinstance(session, Session):
        time.sleep(seconds)
        return
    session.check_thread("databench.sleep", "await asyncio.sleep")
    run = current_run.get()
    woken = threading.Event()
    session.ending.append(woken.set)
    try:
        # Whoever ends either sets its flag first and wakes after that, so between these lines nothing is missed.
        with run.waking(woken.set) if run is not None else nullcontext():
            if not session.ended.is_set() and (run is None or not run.cancelled):
                woken.wait(seconds)
    finally:
        session.ending.remove(woken.set)
    session.check()


def thread(function: Callable[..., object], *arguments: object) -> threading.Thread:
    """Start a thread that belongs to the session whose signal is being handled, so that `emit` works in it.

    The thread is a daemon: it does not keep the runner from stopping. Returns the started thread.
    """
    context = contextvars.copy_context()
    session = current_session.get(None)
    if isinstance(session, Session):
        arguments = (session, function, *arguments)
        function = _run_in_session
    started = threading.Thread(target=context.run, args=(function, *arguments), daemon=True)
    started.start()
    return started


def _run_in_session(session: Session, function: Callable[..., object], *arguments: object) -> None:
    try:
        with _own_jobs(session):
            function(*arguments)
    except Cancelled:
        log.debug("a thread of %r ended with its session or its handler", session.analysis)
    except Exception as error:
        session.report(getattr(function, "__qualname__", "thread"), error)


@contextmanager
def _own_jobs(session: Session) -> Iterator[None]:
    """Give this thread a scope of its own: the handler's ends with the handler, this one with its thread."""
    scope, run = current_scope.get(None), current_run.get()
    if scope is None:
        yield
        return
    scope = JobScope(scope.engine, session.check)
    current_scope.set(scope)
    session.ending.append(scope.cancel_all)
    try:
        with run.waking(scope.cancel_all) if run is not None else nullcontext():
            if run is not None:
                run.check()
            yield
    finally:
        session.ending.remove(scope.cancel_all)
        scope.cancel_all()


def _nothing_runs(signal: str) -> None:
    log.debug("no handler of %r runs", signal)


def _log_only(where: str, error: BaseException) -> None:
    log.error("%s raised", where, exc_info=error)
