"""Signals as the author uses them: handlers are registered here, and what is emitted finds its session.

Owns the form of a handler and the current session. Knows nothing of how signals travel.
"""

import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, get_type_hints

from databench.errors import AnalysisError
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
    positional: tuple[Literal["payload", "session"], ...]
    payload_has_default: bool
    session_keyword: str | None

    def call(self, session: Emitter, payload: object) -> Any:
        """Call the function with what its parameters ask for."""
        wanted = self.positional
        if payload is None and self.payload_has_default:
            # Without a payload the author's default counts.
            wanted = wanted[: wanted.index("payload")]
        positional = [session if each == "session" else payload for each in wanted]
        return self.function(*positional, **({self.session_keyword: session} if self.session_keyword else {}))


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

    def on(self, signal: str) -> Callable[[Function], Function]:
        """Register the decorated function, plain or async, for a signal from the page.

        It takes no argument or the payload, and the session where a parameter is annotated with
        `databench.Session`. The signal `connect` comes when a session begins, `disconnect` when it has ended.
        Raises AnalysisError for other functions.
        """
        if not isinstance(signal, str) or not 0 < len(signal) <= NAME_LIMIT:
            raise AnalysisError(f"a signal's name is a string of 1 to {NAME_LIMIT} characters, not {signal!r}")

        def register(function: Function) -> Function:
            self._handlers.setdefault(signal, []).append(handler(signal, function))
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


def handler(signal: str, function: Callable[..., Any]) -> Handler:
    """Look at a function's parameters; raises AnalysisError when it cannot be called as a handler."""
    if not callable(function):
        raise AnalysisError(f"the handler of {signal!r} is not a function but {function!r}")
    name = getattr(function, "__qualname__", repr(function))
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise AnalysisError(f"{name} cannot handle {signal!r}: a function with `yield` does nothing when it is called")
    hints = _hints(function)
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    positional: list[Literal["payload", "session"]] = []
    session_keyword = None
    payloads = 0
    has_default = False
    in_order = True
    for parameter in inspect.signature(function).parameters.values():
        required = parameter.default is parameter.empty and parameter.kind not in variable
        if _is_session(hints.get(parameter.name)):
            if in_order and parameter.kind is not parameter.KEYWORD_ONLY:
                positional.append("session")
            else:
                session_keyword = parameter.name
        elif parameter.kind is parameter.KEYWORD_ONLY and required:
            raise AnalysisError(f"{name} cannot handle {signal!r}: nothing is passed for its {parameter.name!r}")
        elif parameter.kind not in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD) and (required or not payloads):
            payloads += 1
            positional.append("payload")
            has_default = parameter.default is not parameter.empty
            in_order = not has_default
        else:
            in_order = False
    if payloads > 1:
        raise AnalysisError(
            f"{name} cannot handle {signal!r}: a handler takes no argument or one, the payload, not {payloads}"
        )
    is_async = any(map(inspect.iscoroutinefunction, (function, type(function).__call__)))
    return Handler(signal, function, is_async, tuple(positional), has_default, session_keyword)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        # An annotation that cannot be resolved says nothing about what the handler takes.
        return dict(getattr(function, "__annotations__", {}))


def _is_session(annotation: object) -> bool:
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__qualname__", "")
    module = getattr(annotation, "__module__", "databench.session")
    return name.rpartition(".")[2] == "Session" and module == "databench.session"
