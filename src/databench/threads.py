"""What blocking code of an author needs besides `emit`: sleep that can be ended, threads that keep their session.

Knows sessions and jobs only as far as they end.
"""

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from databench.errors import Cancelled
from databench.jobs import current_scope
from databench.runs import current_run
from databench.session import Session
from databench.signals import current_session

log = logging.getLogger(__name__)


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
            over = (
                session.ended.is_set()
                if run is None
                else run.cancelled or (session.ended.is_set() and not run.outlives)
            )
            if not over:
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
    scope = scope.sibling(session.check)
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
