"""Runs the handlers of one session: plain ones in threads, async ones as tasks, and what they raise becomes a signal.

Owns which handler runs, what waits for it, and how all of it is cancelled. Knows no socket and no message.
"""

import asyncio
import contextvars
import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from databench.analysis import Analysis
from databench.errors import Cancelled, RemoteProtocolError
from databench.jobs import JobScope, current_scope
from databench.session import Session
from databench.signals import Handler, current_session
from databench.wire import codec

log = logging.getLogger(__name__)

WAITING = 64
"""Signals that wait while their handler runs for this session; one more is refused with a `warn` signal."""
THREADS = 32
"""Plain handlers that run at the same time for one session; one more is refused with a `warn` signal."""
NULL = codec.pack(None)


@dataclass(eq=False, slots=True)
class _Run:
    """One call of a handler."""

    handler: Handler
    scope: JobScope
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Handling:
    """The handlers of one session. `arrive` and `end` belong to the event loop's thread."""

    analysis: Analysis
    session: Session
    scope: Callable[[Callable[[], None]], JobScope]
    """Makes the scope of jobs for one call, given what raises Cancelled when that call is to stop."""
    development: bool = False
    _waiting: dict[Handler, deque[bytes]] = field(default_factory=dict)
    _runs: set[_Run] = field(default_factory=set)

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()

        def report(where: str, error: BaseException) -> None:
            loop.call_soon_threadsafe(self._report, where, error)

        self.session.report = report

    def arrive(self, signal: str, payload: bytes) -> None:
        """Handle a signal; what cannot be handled is answered with a `warn` signal."""
        handlers = self.analysis.signals.handlers(signal)
        if not handlers and signal not in ("connect", "disconnect"):
            known = ", ".join(sorted(self.analysis.signals.names())) or "none"
            self._warn(signal, f"nobody handles the signal {signal!r}; {self.analysis.name!r} handles: {known}")
            return
        for handler in handlers:
            self._queue(handler, payload)

    def refuse(self, signal: str, reason: str) -> None:
        """Answer a signal that is not handled with a `warn` signal."""
        self._warn(signal, reason)

    def end(self) -> None:
        """Cancel everything that runs or waits, then run the `disconnect` handlers."""
        self._waiting.clear()
        for run in self._runs:
            run.scope.cancel_all()
            if run.task is not None:
                run.task.cancel()
        self.arrive("disconnect", NULL)

    async def finished(self) -> None:
        """Return when the async handlers that were cancelled have ended."""
        tasks = [run.task for run in self._runs if run.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _queue(self, handler: Handler, payload: bytes) -> None:
        if handler not in self._waiting:
            if not handler.is_async and sum(not other.is_async for other in self._waiting) >= THREADS:
                self._warn(handler.signal, f"busy: {THREADS} handlers of this session are running")
                return
            self._waiting[handler] = deque()
            self._begin(handler, payload)
        elif len(self._waiting[handler]) < WAITING:
            self._waiting[handler].append(payload)
        else:
            self._warn(handler.signal, f"busy: {WAITING} signals {handler.signal!r} are waiting to be handled")

    def _begin(self, handler: Handler, payload: bytes) -> None:
        run = _Run(handler, self.scope(self._check(handler)))
        self._runs.add(run)
        context = contextvars.copy_context()
        context.run(current_session.set, self.session)
        context.run(current_scope.set, run.scope)
        loop = asyncio.get_running_loop()
        if handler.is_async:
            run.task = loop.create_task(self._run_async(run, payload), context=context)
        else:
            name = f"{self.analysis.name}:{handler.signal}"
            thread = threading.Thread(
                target=context.run, args=(self._run_in_thread, run, payload, loop), name=name, daemon=True
            )
            thread.start()

    def _check(self, handler: Handler) -> Callable[[], None]:
        # `disconnect` handlers run after the end and are not cancelled by it.
        return (lambda: None) if handler.signal == "disconnect" else self.session.check

    def _run_in_thread(self, run: _Run, payload: bytes, loop: asyncio.AbstractEventLoop) -> None:
        error: BaseException | None = None
        try:
            run.handler.call(self.session, _value(payload))
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(self._finish, run, error)
        except RuntimeError:
            log.debug("%r ended after the service had stopped", run.handler.signal)

    async def _run_async(self, run: _Run, payload: bytes) -> None:
        error: BaseException | None = None
        try:
            await run.handler.call(self.session, _value(payload))
        except asyncio.CancelledError:
            raise
        except BaseException as raised:
            error = raised
        finally:
            self._finish(run, error)

    def _finish(self, run: _Run, error: BaseException | None) -> None:
        self._runs.discard(run)
        run.scope.cancel_all()
        try:
            if isinstance(error, _UndecodableError):
                self._warn(run.handler.signal, str(error))
            elif error is not None and not isinstance(error, (Cancelled, SystemExit)):
                self._report(run.handler.signal, error)
        finally:
            waiting = self._waiting.get(run.handler)
            if waiting:
                self._begin(run.handler, waiting.popleft())
            else:
                self._waiting.pop(run.handler, None)

    def _report(self, signal: str, error: BaseException) -> None:
        text = _sendable("".join(traceback.format_exception(error)))
        log.error("%s: the handler of %r raised\n%s", self.analysis.name, signal, text)
        self.session.tell(
            "error",
            {
                "signal": signal,
                "type": type(error).__qualname__,
                "message": _sendable(str(error)),
                "traceback": text if self.development else None,
            },
        )

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
