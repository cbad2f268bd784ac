"""Signals as the author uses them: handlers are registered here, and what is emitted finds its session.

Owns the form of a handler and the current session. Knows nothing of how signals travel.
"""

import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from databench.errors import AnalysisError
from databench.parameters import Parameters, parameters
from databench.policies import POLICIES, Policy
from databench.wire.messages import NAME_LIMIT

Function = TypeVar("Function", bound=Callable[..., Any])


class Emitter(Protocol):
    """What a session is to its handlers."""

    def emit(self, signal: str, payload: object = None) -> Awaitable[None]:
        """Send a signal to the page."""


current_session: ContextVar[Emitter] = ContextVar("current_session")
"""The session whose signal is being handled; asyncio tasks and `databench.thread` inherit it."""


@dataclass(frozen=True, slots=True, eq=False)
class Handler:
    """A function that handles a signal, and how it is called."""

    signal: str
    function: Callable[..., Any]
    is_async: bool
    parameters: Parameters
    policy: Policy = "queue"

    def call(self, session: Emitter, payload: object) -> Any:
        """Call the function with what its parameters ask for; raises MismatchError for a payload that does not fit."""
        positional, named = self.parameters.bind(session, payload)
        return self.function(*positional, **named)


class Signals:
    """The signals of one analysis.

    >>> import databench
    >>> pi = databench.Analysis("pi", __name__)
    >>> @pi.signals.on("run")
    ... def run(draws):
    ...     pi.signals.emit("status", {"draws": draws})
    """

    def __init__(self, analysis: str) -> None:
        self._analysis = analysis
        self._handlers: dict[str, list[Handler]] = {}

    def on(self, signal: str, policy: Policy = "queue") -> Callable[[Function], Function]:
        """Register the decorated function, plain or async, for a signal from the page.

        The signal `connect` comes when a session begins, `disconnect` when it has ended. A handler for `cancel`
        replaces the built-in one, which does what `Session.cancel` does. A parameter annotated with
        `databench.Session` gets the session, in any place. The payload fills the others:

        - Without annotations, and with no more than one parameter that needs a value, the first of them gets the
          payload as it is.
        - Otherwise a dict fills them by name, a list by position, and any other payload is the value of the first.
          They are validated by pydantic from their annotations; an annotation that cannot be resolved counts as
          none. `*rest` and `**rest` take what is left over; without them that is an error.
        - A single annotated parameter takes a dict or list whole, unless it is annotated with a scalar: a number,
          text, bytes, bool, Literal, Enum, a date or time, a union of these.
        - Without a payload (`None`) defaults count.

        What does not validate is answered with the signal `error`, and the handler does not run.

        `policy` says what becomes of a signal that comes while this handler still runs for its session:

        - `queue`: it waits for its turn; beyond 64 that wait it is refused.
        - `latest`: of those that wait only the newest is kept.
        - `restart`: the running one is cancelled, and the newest begins when that has stopped.
        - `reject`: it is refused.
        - `parallel`: it begins at once, as long as there is room for one more handler.

        Raises AnalysisError for a policy that is none of these, and for a function that cannot be a handler.
        """
        if not isinstance(signal, str) or not 0 < len(signal) <= NAME_LIMIT:
            raise AnalysisError(f"a signal's name is a string of 1 to {NAME_LIMIT} characters, not {signal!r}")
        if policy not in POLICIES:
            raise AnalysisError(f"policy {policy!r} of {signal!r} is not known: choose one of {', '.join(POLICIES)}")

        def register(function: Function) -> Function:
            self._handlers.setdefault(signal, []).append(handler(signal, function, policy))
            return function

        return register

    def emit(self, signal: str, payload: object = None) -> Awaitable[None]:
        """Send a signal to the page of the session whose signal is being handled.

        In a plain handler this waits while the page is behind by more than the window. In an async
        one `await` it to wait; without `await` it is sent all the same, as long as there is room.
        Raises PayloadError (a TypeError) for what cannot be sent and AnalysisError outside any handler.
        """
        try:
            session = current_session.get()
        except LookupError:
            raise AnalysisError(
                f"emit({signal!r}) was called outside any handler of {self._analysis!r}, so no session is meant: "
                "call it in a function registered with `signals.on`, or in a thread started by `databench.thread`"
            ) from None
        return session.emit(signal, payload)

    def handlers(self, signal: str) -> list[Handler]:
        """Return the handlers of a signal, in the order of their registration."""
        return self._handlers.get(signal, [])

    def names(self) -> list[str]:
        """Return the signals that have handlers."""
        return list(self._handlers)


def handler(signal: str, function: Callable[..., Any], policy: Policy = "queue") -> Handler:
    """Look at a function's parameters; raises AnalysisError when it cannot be called as a handler."""
    if not callable(function):
        raise AnalysisError(f"the handler of {signal!r} is not a function but {function!r}")
    name = getattr(function, "__qualname__", repr(function))
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise AnalysisError(f"{name} cannot handle {signal!r}: a function with `yield` does nothing when it is called")
    is_async = any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))
    return Handler(signal, function, is_async, parameters(name, function), policy)
