"""Runs the handlers of one session: plain ones in threads, async ones as tasks, and what they raise becomes a signal.

Owns how a handler begins, ends and is cancelled; `databench.policies` decides when. Knows no socket and no message.
"""

import asyncio
import contextvars
import logging
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from databench.analysis import Analysis
from databench.announcing import Announcer, Work
from databench.errors import Cancelled, MismatchError, RemoteProtocolError
from databench.jobs import JobScope, current_scope
from databench.policies import Begin, Cancel, Drop, Refuse, Step, Turns
from databench.progress import Report
from databench.requests import StateRequests
from databench.runs import Run, current_run
from databench.session import Session
from databench.signals import Handler, current_session
from databench.tally import Tally
from databench.threadpool import Threads
from databench.wire import codec
from databench.wire.messages import NAME_LIMIT

log = logging.getLogger(__name__)

HANDLERS = 32
"""Plain handlers that run at the same time for one session, and async ones; one more waits."""
CANCEL = "cancel"
"""The signal by which a page cancels another, unless the author handles it."""
NULL = codec.pack(None)


@dataclass(eq=False, slots=True)
class _Call:
    """One call of a handler, waiting or running."""

    handler: Handler
    turns: Turns["_Call"]
    payload: bytes
    run: Run
    scope: JobScope | None = None
    task: asyncio.Task[None] | None = None
    error: BaseException | None = None

    def stop(self) -> None:
        self.run.cancel()
        if self.scope is not None:
            self.scope.cancel_all()
        if self.task is not None:
            self.task.cancel()


@dataclass(slots=True)
class Handling:
    """The handlers of one session. `arrive`, `cancel` and `end` belong to the event loop's thread."""

    analysis: Analysis
    session: Session
    scope: Callable[[Callable[[], None], Report], JobScope]
    """Makes the scope of jobs for one call, given what raises Cancelled when that call is to stop, and whom to tell."""
    development: bool = False
    threads: Threads = field(default_factory=Threads)
    """Shared by all sessions of the runner."""
    _turns: dict[Handler, Turns[_Call]] = field(default_factory=dict)
    _running: set[_Call] = field(default_factory=set)
    _line: dict[Handler, None] = field(default_factory=dict)
    """Handlers with calls that wait for nothing but room, the one that waits longest first."""
    _context: contextvars.Context = field(default_factory=contextvars.copy_context)
    """What every call begins with: nothing that another one has set."""
    _announcer: Announcer = field(init=False)
    _requests: StateRequests = field(init=False)
    _tally: Tally = field(init=False)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()

        def report(where: str, error: BaseException) -> None:
            loop.call_soon_threadsafe(self._report, where, error)

        def cancel(signal: str) -> None:
            with suppress(RuntimeError):  # the service has stopped, and all handlers with it
                loop.call_soon_threadsafe(self.cancel, signal)

        self.session.report = report
        self.session.cancelling = cancel
        self._context.run(current_session.set, self.session)
        self._announcer = Announcer(self.session.handled, self._at_work, self._work)
        self._requests = StateRequests(self.session.state, self.analysis.state)
        self._tally = Tally(self.session.progress)

    def arrive(self, signal: str, payload: bytes) -> None:
        """Handle a signal; what cannot be handled is answered with a `warn` signal."""
        handlers = self.analysis.signals.handlers(signal)
        if not handlers:
            self._arrive_unhandled(signal, payload)
        for handler in handlers:
            if (turns := self._turns.get(handler)) is None:
                turns = self._turns[handler] = Turns(handler.policy)
            busy = self._busy(handler)
            call = _Call(handler, turns, payload, Run(signal))
            self._perform(turns.arrive(call, room=not busy, size=len(payload)), busy)
            self._settle(handler, turns)
        if handlers:
            self._announcer.changed(signal)

    def _arrive_unhandled(self, signal: str, payload: bytes) -> None:
        if self._requests.concerns(signal):
            if refused := self._requests.take_over(signal, payload):
                self._warn(signal, refused)
        elif signal == CANCEL:
            self._cancel_for_page(payload)
        elif signal not in ("connect", "disconnect"):
            self._warn(signal, f"nobody handles the signal {signal!r}; {self._known()}")

    def refuse(self, signal: str, reason: str) -> None:
        """Answer a signal that is not handled with a `warn` signal."""
        self._warn(signal, reason)

    def cancel(self, signal: str) -> None:
        """Cancel the calls of a signal, those that run and those that wait."""
        for handler in self.analysis.signals.handlers(signal):
            if (turns := self._turns.get(handler)) is not None:
                self._perform(turns.cancel())
                self._settle(handler, turns)
        self._announcer.changed(signal)

    def end(self) -> None:
        """Cancel everything that runs or waits, then run the `disconnect` handlers."""
        self._announcer.stop()
        for turns in self._turns.values():
            turns.cancel()
        self._turns.clear()
        self._line.clear()
        self.threads.forget(self._advance)
        for call in list(self._running):
            # Those that were told before too: what they still do in their cleanup ends with the session.
            call.stop()
        self.arrive("disconnect", NULL)

    async def finished(self) -> None:
        """Return when the async handlers that were cancelled have ended."""
        tasks = [call.task for call in self._running if call.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cancel_for_page(self, payload: bytes) -> None:
        signal = None
        if len(payload) <= 8 * NAME_LIMIT:  # A longer one is no name, and unpacking it would hold up others.
            with suppress(RemoteProtocolError):
                signal = codec.unpack(payload)
        if not isinstance(signal, str):
            self._warn(CANCEL, "cancel takes the name of a signal")
        elif not self.analysis.signals.handlers(signal):
            self._warn(CANCEL, f"nobody handles the signal {signal!r}; {self._known()}")
        else:
            self.cancel(signal)

    def _known(self) -> str:
        return f"{self.analysis.name!r} handles: {', '.join(sorted(self.analysis.signals.names())) or 'none'}"

    def _busy(self, handler: Handler) -> str:
        """Return why a handler cannot begin now, if so. What a session does at its end is never refused."""
        if handler.signal == "disconnect":
            return ""
        running = self._running
        # Which of both kinds they are matters only where many run.
        if len(running) >= HANDLERS and sum(each.handler.is_async == handler.is_async for each in running) >= HANDLERS:
            return f"busy: {HANDLERS} handlers of this session are running"
        if not handler.is_async and self.threads.full:
            return "busy: too many handlers of other sessions are running"
        return ""

    def _perform(self, steps: Sequence[Step[_Call]], busy: str = "") -> None:
        for step in steps:
            signal = step.call.handler.signal
            match step:
                case Begin(call):
                    self._begin(call)
                case Cancel(call):
                    call.stop()
                case Drop():
                    log.debug("%s: a waiting signal %r was dropped", self.analysis.name, signal)
                case Refuse(_, because):
                    reasons = {
                        "room": busy,
                        "waiting": f"busy: {step.call.turns.waiting} signals {signal!r} are waiting to be handled",
                        "running": f"busy: the signal {signal!r} is being handled",
                    }
                    self._warn(signal, reasons[because])
                    if self._requests.concerns(signal):
                        self._requests.settle(signal)

    def _settle(self, handler: Handler, turns: Turns[_Call]) -> None:
        """Forget the turns of a handler that has none, and put one that waits for room in the line for it."""
        if turns.idle:
            del self._turns[handler]
        elif turns.ready:
            self._line.setdefault(handler)
            self._await_thread()

    def _advance(self) -> None:
        """Begin calls that wait for room, as long as there is some: each handler one, then the next handler."""
        waiting = deque(self._line)
        self._line.clear()
        while waiting:
            handler = waiting.popleft()
            turns = self._turns.get(handler)
            if turns is None or not turns.ready:
                continue
            if self._busy(handler):
                self._line[handler] = None
                continue
            self._perform(turns.advance())
            self._announcer.changed(handler.signal)
            if turns.ready:
                waiting.append(handler)
        self._await_thread()

    def _await_thread(self) -> None:
        if self.threads.full and not all(handler.is_async for handler in self._line):
            self.threads.wait(self._advance)

    def _at_work(self, signal: str) -> bool:
        """Return whether anything is at work for a signal."""
        if self._turns:
            for handler in self.analysis.signals.handlers(signal):
                if handler in self._turns:
                    return True
        return False

    def _work(self, signal: str) -> Work:
        """Return what is at work for a signal."""
        turns = [self._turns[each] for each in self.analysis.signals.handlers(signal) if each in self._turns]
        running, waiting = sum(each.running for each in turns), sum(each.waiting for each in turns)
        return Work(running, waiting, all(each.accepts for each in turns))

    def _begin(self, call: _Call) -> None:
        call.scope = self.scope(self._check(call), partial(self._tally.report, call.handler.signal))
        self._running.add(call)
        context = self._context.copy()
        context.run(current_scope.set, call.scope)
        context.run(current_run.set, call.run)
        loop = asyncio.get_running_loop()
        if call.handler.is_async:
            call.task = loop.create_task(self._run_async(call), context=context)
            call.task.add_done_callback(self._finish_unbegun)
            # Behind its first step, so that what it emits there does not wait for another turn.
            self.session.flush_soon()
            return
        self.threads.used += 1
        try:
            self.threads.start(partial(context.run, self._run_in_thread, call, loop))
        except RuntimeError as error:
            call.error = error
            loop.call_soon(self._finish, call)

    def _check(self, call: _Call) -> Callable[[], None]:
        run, session = call.run, self.session
        # `disconnect` handlers run after the end and are not cancelled by it.
        if call.handler.signal == "disconnect":
            return run.check

        # Without the call, which holds the scope that holds this: memory of cycles would be used again only much later.
        def check() -> None:
            run.check()
            session.check()

        return check

    def _run_in_thread(self, call: _Call, loop: asyncio.AbstractEventLoop) -> None:
        try:
            call.handler.call(self.session, _value(call.payload))
        except BaseException as raised:
            call.error = raised
        try:
            loop.call_soon_threadsafe(self._finish, call)
        except RuntimeError:
            log.debug("%r ended after the service had stopped", call.handler.signal)

    async def _run_async(self, call: _Call) -> None:
        if call.task is not None:
            call.task.remove_done_callback(self._finish_unbegun)
        try:
            await call.handler.call(self.session, _value(call.payload))
        except GeneratorExit:  # The loop is gone, and whoever might be told.
            raise
        except asyncio.CancelledError:
            self._finish(call)
            raise
        except BaseException as raised:
            call.error = raised
        # Here, and not in one more turn of the loop for each signal.
        self._finish(call)

    def _finish_unbegun(self, task: "asyncio.Task[None]") -> None:
        """Finish the call of a task that was cancelled before its first step: its coroutine never ran."""
        for call in [each for each in self._running if each.task is task]:
            self._finish(call)

    def _finish(self, call: _Call) -> None:
        self._running.discard(call)
        if call.scope is not None:
            call.scope.cancel_all()
        try:
            self._told(call.handler.signal, call.error)
        finally:
            call.error = None  # Its traceback holds the handler's frames, and those may hold this call.
            call.turns.finish(call)
            if self._turns.get(call.handler) is call.turns:
                self._settle(call.handler, call.turns)
            if not call.handler.is_async:
                self.threads.release()
            if self._line:
                self._advance()
            if not self.session.ended.is_set():
                self._announcer.changed(call.handler.signal)
                if self._requests.concerns(call.handler.signal):
                    self._requests.settle(call.handler.signal)

    def _told(self, signal: str, error: BaseException | None) -> None:
        match error:
            case None | Cancelled() | SystemExit():
                pass
            case _UndecodableError():
                self._warn(signal, str(error))
            case MismatchError():
                message = _sendable(str(error))
                log.warning("%s: the payload of %r does not fit: %s", self.analysis.name, signal, message)
                self._error(signal, "ValidationError", message, None)
            case _:
                self._report(signal, error)

    def _report(self, signal: str, error: BaseException) -> None:
        text = _sendable("".join(traceback.format_exception(error)))
        log.error("%s: the handler of %r raised\n%s", self.analysis.name, signal, text)
        self._error(signal, type(error).__qualname__, _sendable(str(error)), text if self.development else None)

    def _error(self, signal: str, kind: str, message: str, text: str | None) -> None:
        self.session.tell("error", {"signal": signal, "type": kind, "message": message, "traceback": text})

    def _warn(self, signal: str, message: str) -> None:
        log.warning("%s: %s", self.analysis.name, message)
        self.session.tell("warn", {"signal": signal, "message": message})


class _UndecodableError(Exception):
    """The payload of a signal is malformed: the page's fault, not the handler's."""


def _value(payload: bytes) -> object:
    # Here, in the handler's own thread, a large payload holds up nobody else.
    try:
        return codec.unpack(payload)
    except RemoteProtocolError as error:
        raise _UndecodableError(str(error)) from None


def _sendable(text: str) -> str:
    """Return the text without half surrogate pairs, as names of files may have them."""
    return text.encode(errors="replace").decode()
