"""What a function may look like to handle a signal, and which session `emit` means."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest

import databench
from databench.errors import AnalysisError
from databench.signals import Signals, current_session, handler
from tests.author import Collector


class Caller:
    def __init__(self) -> None:
        self.got: object = None

    def method(self, payload: object) -> None:
        self.got = payload

    async def __call__(self, payload: object) -> None:
        self.got = payload


def nothing() -> tuple[object, ...]:
    return ()


def one(payload: object) -> tuple[object, ...]:
    return (payload,)


def with_default(payload: object = 7) -> tuple[object, ...]:
    return (payload,)


def more_defaults(payload: object, other: int = 1, *, another: int = 2, **rest: object) -> tuple[object, ...]:
    return (payload, other, another, *rest)


def variable(*payload: object) -> tuple[object, ...]:
    return payload


def only_session(session: databench.Session) -> tuple[object, ...]:
    return (session,)


def session_first(session: databench.Session, payload: object) -> tuple[object, ...]:
    return (session, payload)


def session_last(payload: object, session: databench.Session) -> tuple[object, ...]:
    return (session, payload)


def session_after_default(payload: object, n: int = 1, session: databench.Session = ...) -> tuple[object, ...]:  # type: ignore[assignment]
    return (session, payload, n)


def session_by_keyword(payload: object, *, session: databench.Session) -> tuple[object, ...]:
    return (session, payload)


def positional_only(session: databench.Session, payload: object, /) -> tuple[object, ...]:
    return (session, payload)


def as_text(session: "databench.Session", payload: object) -> tuple[object, ...]:
    return (session, payload)


def unresolved(session: "databench.Session", payload: "Unheard") -> tuple[object, ...]:  # type: ignore[name-defined]  # noqa: F821
    return (session, payload)


def annotated(payload: object, session: Annotated[databench.Session, "mine"]) -> tuple[object, ...]:
    return (session, payload)


def session_and_variable(session: databench.Session, *payload: object) -> tuple[object, ...]:
    return (session, *payload)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (nothing, ()),
        (one, ("p",)),
        (with_default, ("p",)),
        (more_defaults, ("p", 1, 2)),
        (variable, ("p",)),
        (only_session, ("s",)),
        (session_first, ("s", "p")),
        (session_last, ("s", "p")),
        (session_after_default, ("s", "p", 1)),
        (session_by_keyword, ("s", "p")),
        (positional_only, ("s", "p")),
        (as_text, ("s", "p")),
        (unresolved, ("s", "p")),
        (annotated, ("s", "p")),
        (session_and_variable, ("s", "p")),
        (lambda: (), ()),
        (lambda payload: (payload,), ("p",)),
        (functools.partial(more_defaults, other=5), ("p", 5, 2)),
    ],
)
def test_a_function_gets_what_its_parameters_ask_for(function: Callable[..., Any], expected: object) -> None:
    assert handler("run", function).call("s", "p") == expected  # type: ignore[arg-type]


class Session:
    """A class of the author's that happens to be called like ours."""


def test_another_class_of_that_name_is_no_session() -> None:
    def payload_of_another_kind(session: Session) -> object:
        return session

    mine = Session()
    assert handler("run", payload_of_another_kind).call("s", mine) is mine  # type: ignore[arg-type]


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (generator, "generator cannot handle 'run': a function with `yield` does nothing"),
        (async_generator, "async_generator cannot handle 'run': a function with `yield`"),
        (7, "the handler of 'run' is not a function but 7"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused_at_registration(function: Any, message: str) -> None:
    signals = Signals("pi")
    with pytest.raises(AnalysisError) as caught:
        signals.on("run")(function)
    assert str(caught.value).startswith(message)
    assert signals.handlers("run") == []


def test_a_policy_that_is_none_is_refused_at_registration() -> None:
    with pytest.raises(AnalysisError) as caught:
        Signals("pi").on("run", policy="newest")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "policy 'newest' of 'run' is not known: choose one of queue, latest, restart, reject, parallel"
    )


@pytest.mark.parametrize("name", ["", "n" * 201, 7, nothing])
def test_a_name_that_is_none_is_refused(name: Any) -> None:
    with pytest.raises(AnalysisError, match="a signal's name is a string of 1 to 200 characters, not"):
        Signals("pi").on(name)


def test_async_functions_are_told_from_plain_ones() -> None:
    async def coroutine(payload: object) -> None: ...

    assert handler("run", coroutine).is_async
    assert handler("run", functools.partial(coroutine, 1)).is_async
    assert handler("run", Caller()).is_async
    assert not handler("run", Caller().method).is_async
    assert not handler("run", nothing).is_async


def test_the_decorated_function_stays_what_it_is() -> None:
    signals = Signals("pi")
    assert signals.on("run")(nothing) is nothing
    assert signals.on("other")(one) is one
    assert signals.names() == ["run", "other"]


def test_handlers_are_kept_in_the_order_of_their_registration() -> None:
    signals = Signals("pi")
    signals.on("run")(one)
    signals.on("run")(nothing)
    assert [each.function for each in signals.handlers("run")] == [one, nothing]
    assert signals.handlers("other") == []


def test_emit_outside_any_handler_names_the_analysis() -> None:
    with pytest.raises(AnalysisError, match=r"emit\('status'\) was called outside any handler of 'pi'"):
        Signals("pi").emit("status", 1)


async def test_emit_means_the_session_of_its_context() -> None:
    signals = Signals("pi")
    one_session, other = Collector(), Collector()

    async def emit(session: Collector, text: str) -> None:
        current_session.set(session)
        await asyncio.sleep(0)
        await signals.emit("said", text)

    await asyncio.gather(emit(one_session, "a"), emit(other, "b"))
    assert (one_session.emitted, other.emitted) == ([("said", "a")], [("said", "b")])
