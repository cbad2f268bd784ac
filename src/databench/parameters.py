"""What the parameters of a handler ask for, and how a payload fills them.

Owns the rules that `Signals.on` states. Validation by pydantic lies in `databench.validation`, which is imported
with the first handler that has annotations: `import databench` stays light.
"""

import functools
import inspect
import reprlib
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

from databench.errors import AnalysisError, MismatchError

if TYPE_CHECKING:
    from databench.validation import Validator

Kind = inspect._ParameterKind
POSITIONAL: tuple[Kind, ...] = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
REST, NAMED_REST = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
VARIABLE: tuple[Kind, ...] = (REST, NAMED_REST)
UNION = (Union, types.UnionType)
EMPTY = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one function. `bind` says with which arguments to call it."""

    every: tuple[inspect.Parameter, ...]
    own: tuple[inspect.Parameter, ...]
    """Those that the payload fills."""
    sessions: frozenset[str]
    """The names of those that get the session."""
    raw: bool
    """The first one gets the payload as it is."""
    whole: bool
    """There is one, and it takes dicts and lists as they are too."""
    validator: "Validator | None"

    def bind(self, session: object, payload: object) -> tuple[list[Any], dict[str, Any]]:
        """Return positional and named arguments; raises MismatchError for a payload that does not fit."""
        values: dict[str, Any] = dict.fromkeys(self.sessions, session)
        if self.raw:
            first = self.own[0]
            if payload is not None or first.default is EMPTY:
                # Without a payload the author's default counts.
                values[first.name] = [payload] if first.kind is REST else payload
        elif self.own:
            given = self._given(payload)
            values |= self.validator.validate(given) if self.validator is not None else given
        return self._arguments(values)

    def _given(self, payload: object) -> dict[str, Any]:
        """Return the values by parameter, not yet validated."""
        own = self.own
        first = own[0]
        if payload is None and (len(own) > 1 or first.default is not EMPTY or first.kind in VARIABLE):
            return {}
        if self.whole:
            return {first.name: payload}
        if isinstance(payload, dict):
            return self._by_name(payload)
        return self._by_position(payload if isinstance(payload, list) else [payload])

    def _by_name(self, payload: dict[Any, Any]) -> dict[str, Any]:
        fixed = {each.name for each in self.own if each.kind not in VARIABLE}
        given = {name: value for name, value in payload.items() if name in fixed}
        more = {str(name): value for name, value in payload.items() if name not in fixed}
        rest = next((each.name for each in self.own if each.kind is NAMED_REST), None)
        # Nothing that a page calls `session` takes the session's place.
        if rest is not None and not self.sessions & more.keys():
            given[rest] = more
        elif more:
            names = ", ".join(each.name for each in self.own)
            raise MismatchError(f"no parameter is called {reprlib.repr(list(more))[1:-1]}: there are {names}")
        return given

    def _by_position(self, payload: list[Any]) -> dict[str, Any]:
        own = self.own
        # A single value may fill the first one even where that has to be named.
        places = [each.name for each in own if each.kind in POSITIONAL]
        if not places and own[0].kind is inspect.Parameter.KEYWORD_ONLY:
            places = [own[0].name]
        given = dict(zip(places, payload, strict=False))
        more = payload[len(places) :]
        rest = next((each.name for each in own if each.kind is REST), None)
        if rest is not None:
            given[rest] = more
        elif more and not places:
            raise MismatchError("a dict is needed, whose names are those of the parameters")
        elif more:
            raise MismatchError(f"{len(payload)} values came, there is room for {len(places)}: {', '.join(places)}")
        return given

    def _arguments(self, values: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for each in self.every:
            value = values.get(each.name, each.default)
            if each.kind in VARIABLE:
                # Neither of them has a default: without a value there is nothing to pass.
                positional += values.get(each.name, ()) if each.kind is REST else ()
                named |= values.get(each.name, {}) if each.kind is NAMED_REST else {}
            elif each.kind in POSITIONAL:
                positional.append(value)
            else:
                named[each.name] = value
        return positional, named


def parameters(name: str, function: Callable[..., Any]) -> Parameters:
    """Look at a function's parameters; raises AnalysisError for annotations that cannot be validated."""
    every = [_resolved(each, function) for each in inspect.signature(function).parameters.values()]
    sessions = frozenset(each.name for each in every if each.kind not in VARIABLE and is_session(each.annotation))
    own = [each for each in every if each.name not in sessions]
    typed = any(each.annotation is not EMPTY for each in own)
    needed = [each for each in own if each.default is EMPTY and each.kind not in VARIABLE]
    by_place = bool(own) and (own[0].kind in POSITIONAL or own[0].kind is REST)
    raw = by_place and not typed and len(needed) <= 1 and (not needed or needed[0] is own[0])
    whole, validator = False, None
    if own and not raw:
        # Here and not above: pydantic is needed by those who have such handlers only.
        from databench.validation import Validator, is_scalar

        whole = len(own) == 1 and own[0].kind not in VARIABLE and not is_scalar(own[0].annotation)
        try:
            validator = Validator(name, own)
        except Exception as error:
            raise AnalysisError(f"the annotations of {name} cannot be validated: {error}") from error
    return Parameters(tuple(every), tuple(own), sessions, raw, whole, validator)


def is_session(annotation: object) -> bool:
    """Whether an annotation means the session: `Session`, `Session | None`, or their names as text."""
    if isinstance(annotation, str):
        return any(part.strip().rpartition(".")[2] == "Session" for part in annotation.split("|"))
    if get_origin(annotation) is Annotated:
        return is_session(get_args(annotation)[0])
    if get_origin(annotation) in UNION:
        members = [each for each in get_args(annotation) if each is not type(None)]
        return len(members) == 1 and is_session(members[0])
    module, name = getattr(annotation, "__module__", ""), getattr(annotation, "__qualname__", "")
    return (module, name) == ("databench.session", "Session")


def _resolved(parameter: inspect.Parameter, function: Callable[..., Any]) -> inspect.Parameter:
    """Return the parameter with its annotation as an object; one that cannot be resolved counts as none."""
    if parameter.annotation is EMPTY:
        return parameter
    holder = types.SimpleNamespace(__annotations__={"it": parameter.annotation})
    try:
        annotation = get_type_hints(holder, globalns=_globals(function), include_extras=True)["it"]
    except (NameError, TypeError, AttributeError, SyntaxError):
        annotation = parameter.annotation if is_session(parameter.annotation) else EMPTY
    return parameter.replace(annotation=annotation)


def _globals(function: Callable[..., Any]) -> dict[str, Any]:
    while True:
        inner = function.func if isinstance(function, functools.partial) else inspect.unwrap(function)
        if inner is function:
            break
        function = inner
    if not hasattr(function, "__globals__"):
        function = function.__init__ if isinstance(function, type) else type(function).__call__  # type: ignore[misc]
    found: dict[str, Any] = getattr(function, "__globals__", {})
    return found
