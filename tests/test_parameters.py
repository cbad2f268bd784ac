"""How a payload fills the parameters of a handler, and what is said where it does not fit."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, NewType

import numpy as np
import numpy.typing as npt
import pydantic
import pytest
from pydantic import Field

import databench
from databench.errors import AnalysisError, MismatchError
from databench.signals import Signals, handler


class Model(pydantic.BaseModel):
    draws: int
    seed: int = 0


@dataclasses.dataclass
class Point:
    x: float
    y: float


Draws = NewType("Draws", int)


def call(function: Callable[..., Any], payload: object) -> Any:
    return handler("run", function).call("s", payload)  # type: ignore[arg-type]


def fault(function: Callable[..., Any], payload: object) -> str:
    with pytest.raises(MismatchError) as caught:
        call(function, payload)
    return str(caught.value)


def draw(draws: Annotated[int, Field(ge=1)], seed: int = 7, *, name: str = "n") -> tuple[object, ...]:
    return (draws, seed, name)


def by_field(draws: int = Field(5, ge=1), seed: int = 2) -> tuple[object, ...]:
    return (draws, seed)


def untyped(a, b):  # type: ignore[no-untyped-def]
    return (a, b)


def loop(payload, number=3):  # type: ignore[no-untyped-def]
    return (payload, number)


def rest(first: int, *more: int, **named: float) -> tuple[object, ...]:
    return (first, more, named)


def places(a: int, /, b: int = 2, *, session: databench.Session, c: int = 3) -> tuple[object, ...]:
    return (a, b, c, session)


def between(a: int, session: databench.Session | None, b: int = 1) -> tuple[object, ...]:
    return (a, session, b)


def session_first(session: "databench.Session | None" = None, a: int = 1) -> tuple[object, ...]:
    return (session, a)


def shadow(model_config: int, _private: int, schema: int) -> tuple[object, ...]:
    return (model_config, _private, schema)


def required_by_name(*, payload: int) -> object:
    return payload


@pytest.mark.parametrize(
    ("function", "payload", "expected"),
    [
        (draw, {"draws": 3}, (3, 7, "n")),
        (draw, {"name": "m", "seed": "8", "draws": 3.0}, (3, 8, "m")),
        (draw, [3, 4], (3, 4, "n")),
        (draw, 3, (3, 7, "n")),
        (by_field, None, (5, 2)),
        (by_field, {"draws": 6}, (6, 2)),
        (untyped, {"a": 1, "b": [2]}, (1, [2])),
        (untyped, [1, None], (1, None)),
        (loop, {"number": 1}, ({"number": 1}, 3)),
        (loop, [1, 2], ([1, 2], 3)),
        (rest, [1, 2, "3"], (1, (2, 3), {})),
        (rest, {"first": 1, "x": 2}, (1, (), {"x": 2.0})),
        (places, {"a": 1, "c": 4}, (1, 2, 4, "s")),
        (places, [1, 5], (1, 5, 3, "s")),
        (between, [1, 2], (1, "s", 2)),
        (session_first, None, ("s", 1)),
        (session_first, 4, ("s", 4)),
        (shadow, [1, 2, 3], (1, 2, 3)),
        (required_by_name, {"payload": 4}, 4),
        (required_by_name, 4, 4),
    ],
)
def test_a_dict_fills_by_name_a_list_by_position_and_a_value_the_first(
    function: Callable[..., Any], payload: object, expected: object
) -> None:
    assert call(function, payload) == expected


@pytest.mark.parametrize(
    ("annotation", "payload", "expected"),
    [
        (int, 3, 3),
        (int, {"it": 3}, 3),
        (int, [3], 3),
        (int | None, None, None),
        (Draws, {"it": 3}, 3),
        (Annotated[float | str, "doc"], {"it": "x"}, "x"),
        (Literal["a", "b"], ["a"], "a"),
        (datetime, {"it": datetime(2026, 1, 1)}, datetime(2026, 1, 1)),
        (Model, {"draws": 3}, Model(draws=3)),
        (Point, {"x": 1, "y": 2}, Point(1.0, 2.0)),
        (dict[str, int], {"it": 3}, {"it": 3}),
        (list[int], [1, "2"], [1, 2]),
        (tuple[int, str], [1, "2"], (1, "2")),
        (set[int], [1, 1], {1}),
        (object, {"it": 3}, {"it": 3}),
        (Any, [3], [3]),
        (int | list[int], [3], [3]),
    ],
)
def test_a_single_parameter_takes_the_payload_whole_unless_it_is_a_scalar(
    annotation: Any, payload: object, expected: object
) -> None:
    def single(it):  # type: ignore[no-untyped-def]
        return it

    single.__annotations__ = {"it": annotation}
    assert call(single, payload) == expected


def test_arrays_stay_what_they_are() -> None:
    def single(points: npt.NDArray[np.float64]) -> object:
        return points

    points = np.array([1.0, 2.0])
    assert call(single, points) is points
    assert fault(single, [1.0]).startswith("points: Input should be an instance of ndarray, not [1.0]")


def test_the_default_of_the_author_is_passed_as_it_is() -> None:
    default: list[int] = []

    def single(a: int = 1, items: list[int] = default) -> object:
        return items

    assert call(single, {"a": 2}) is default


@pytest.mark.parametrize(
    ("function", "payload", "message"),
    [
        (draw, {"draws": 0, "seed": "x"}, "draws: Input should be greater than or equal to 1, not 0; seed: Input"),
        (draw, {}, "draws: is missing"),
        (draw, None, "draws: is missing"),
        (draw, {"draws": 1, "sed": 2}, "no parameter is called 'sed': there are draws, seed, name"),
        (draw, [1, 2, 3], "3 values came, there is room for 2: draws, seed"),
        (draw, "many", "draws: Input should be a valid integer, unable to parse string as an integer, not 'many'"),
        (rest, [1, 2, "x"], "more[1]: Input should be a valid integer"),
        (by_field, {"draws": 0}, "draws: Input should be greater than or equal to 1, not 0"),
        (untyped, [1], "b: is missing"),
        (lambda **named: None, 3, "a dict is needed"),
    ],
)
def test_what_does_not_fit_is_said_for_each_parameter(
    function: Callable[..., Any], payload: object, message: str
) -> None:
    assert fault(function, payload).startswith(message)


def test_a_page_cannot_take_the_place_of_the_session() -> None:
    def run(*, session: databench.Session, **more: object) -> object:
        return session

    assert call(run, {"a": 1}) == "s"
    assert fault(run, {"session": 1}) == "no parameter is called 'session': there are more"


def test_a_place_inside_a_payload_is_named() -> None:
    def single(points: list[Point]) -> None: ...

    assert fault(single, [{"x": 1, "y": 2}, {"x": "a"}]) == (
        "points[1].x: Input should be a valid number, unable to parse string as a number, not 'a'; "
        "points[1].y: is missing"
    )


@pytest.mark.parametrize("payload", [["q"] * 1_000, {"a" * 10_000: 1}, {"n" * 10_000: "q"}])
def test_a_payload_with_any_number_of_faults_gets_a_short_answer(payload: object) -> None:
    def several(xs: list[int], y: int = 0) -> None: ...

    def names(it: dict[str, dict[str, int]]) -> None: ...

    def numbers(it: list[int]) -> None: ...

    for function in (several, names, numbers):
        assert len(fault(function, payload)) < 10_000
    assert "; and 980 more" in fault(numbers, ["q"] * 1_000)


def test_an_annotation_that_cannot_be_resolved_leaves_the_others() -> None:
    def two(a: "Unheard", b: int) -> object:  # type: ignore[name-defined]  # noqa: F821
        return (a, b)

    assert call(two, ["x", 2]) == ("x", 2)
    assert fault(two, ["x", "y"]).startswith("b: ")


def test_an_annotation_that_cannot_be_validated_is_refused_at_registration() -> None:
    def odd(payload: Annotated[int, Field(min_length=object())]) -> None: ...

    with pytest.raises(AnalysisError, match=r"the annotations of .*odd cannot be validated"):
        Signals("pi").on("run")(odd)


def test_pydantic_is_imported_with_the_first_annotated_handler_and_not_before() -> None:
    code = (
        "import sys, databench\n"
        "pi = databench.Analysis('pi', '__main__')\n"
        "pi.signals.on('run')(lambda payload: None)\n"
        "@pi.signals.on('run')\n"
        "def other(session: databench.Session): ...\n"
        "print('pydantic' in sys.modules)\n"
        "@pi.signals.on('run')\n"
        "def run(draws: int): ...\n"
        "print('pydantic' in sys.modules)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.split() == ["False", "True"]
