"""Values: every row of the table in docs/protocol.md, section 5, and what is said of those that cannot be sent."""

import dataclasses
import datetime as dt
import enum
import math
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pydantic
import pytest

from databench.errors import PayloadError, RemoteProtocolError
from databench.wire import codec
from databench.wire.values import NESTING


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Box:
    content: object


@dataclasses.dataclass(slots=True, frozen=True)
class Slotted:
    a: int
    b: dt.date


class Model(pydantic.BaseModel):
    a: int
    b: Any = None


class Moment(dt.datetime):
    """As pandas has one."""


class View(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        return {"a": 1}[key]

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


NOON = dt.datetime(2026, 1, 2, 12, 30, 15, 250_001)
CET = dt.timezone(dt.timedelta(hours=1))


@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (None, None),
        (True, True),
        (-(2**63), -(2**63)),
        (2**64 - 1, 2**64 - 1),
        (math.inf, math.inf),
        ("π\0", "π\0"),
        ({1: "a", 2.5: "b", "c": []}, {1: "a", 2.5: "b", "c": []}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(int, a=1), {"a": 1}),
        (View(), {"a": 1}),
        (b"\0\xff", b"\0\xff"),
        (bytearray(b"\1"), b"\1"),
        (memoryview(b"\1\2"), b"\1\2"),
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        ({7}, [7]),
        (frozenset({"x"}), ["x"]),
        (Box(Box(1)), {"content": {"content": 1}}),
        (Slotted(1, dt.date(2026, 1, 2)), {"a": 1, "b": dt.date(2026, 1, 2)}),
        (Model(a=1, b={"c": Colour.RED}), {"a": 1, "b": {"c": "red"}}),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        ({Colour.RED: 1, np.int64(2): 2}, {"red": 1, 2: 2}),
        (NOON.replace(tzinfo=dt.UTC), NOON.replace(tzinfo=dt.UTC)),
        (NOON.replace(tzinfo=CET), NOON.replace(hour=11, tzinfo=dt.UTC)),
        (Moment(2026, 1, 2, 12, tzinfo=CET), dt.datetime(2026, 1, 2, 11, tzinfo=dt.UTC)),
        (NOON, NOON),
        (Moment(2026, 1, 2), dt.datetime(2026, 1, 2)),
        (dt.date(1, 1, 1), dt.date(1, 1, 1)),
        (np.float32(0.5), 0.5),
        (np.int8(-3), -3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.datetime64("2026-01-02T03:04:05.678"), dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=dt.UTC)),
        (np.datetime64("NaT", "ms"), None),
        (np.array("2026-01-02", dtype="M8[D]"), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)),
        (np.array(["a", "bc"]), ["a", "bc"]),
        (np.array([["a"]], dtype=np.dtypes.StringDType()), [["a"]]),
        (np.array([1, "b", None], dtype=object), [1, "b", None]),
    ],
    ids=repr,
)
def test_a_value_arrives_as_the_table_says(value: object, arrives: object) -> None:
    got = codec.unpack(codec.pack({"value": value}))["value"]
    assert got == arrives
    assert type(got) is type(arrives)


def test_a_zone_arrives_as_utc() -> None:
    assert codec.unpack(codec.pack(NOON.replace(tzinfo=CET))).tzinfo is dt.UTC


def test_not_a_number_is_a_value() -> None:
    assert math.isnan(codec.unpack(codec.pack(math.nan)))


DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16", "M8[ms]"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6,), (2, 3), (), (0,), (3, 0, 2)], ids=str)
def test_an_array_keeps_its_type_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    array = np.arange(math.prod(shape)).reshape(shape).astype(dtype)
    if shape == () and dtype == "M8[ms]":
        return  # It travels as a single moment.
    np.testing.assert_array_equal(codec.unpack(codec.pack(array)), array, strict=True)


@pytest.mark.parametrize(
    "array",
    [np.arange(12).reshape(3, 4).T, np.arange(10)[::-3], np.arange(4, dtype=">i4"), np.asfortranarray(np.eye(3))],
    ids=["transposed", "strided", "big-endian", "in Fortran's order"],
)
def test_an_array_may_lie_in_memory_as_it_likes(array: Any) -> None:
    np.testing.assert_array_equal(codec.unpack(codec.pack(array)), array)


def test_a_received_array_is_aligned_and_can_be_written_to() -> None:
    for text in ("", "a", "ab", "abc"):
        array = codec.unpack(codec.pack([text, np.arange(3.0)]))[1]
        assert array.flags.aligned
        array[0] = 7


def test_times_of_other_units_become_milliseconds() -> None:
    array = np.array(["2026-01-02T03:04:05.678901", "NaT"], dtype="M8[us]")
    np.testing.assert_array_equal(codec.unpack(codec.pack(array)), array.astype("M8[ms]"), strict=True)


def test_a_figure_travels_as_mpld3_makes_it() -> None:
    matplotlib.use("agg")
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2, 3])
    assert codec.unpack(codec.pack({"figure": figure}))["figure"]["axes"][0]["lines"]


def nested(levels: int, around: Callable[[Any], Any]) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = around(value)
    return value


AROUND: list[Callable[[Any], Any]] = [lambda value: [value], lambda value: {"a": value}, lambda value: (value,)]


@pytest.mark.parametrize("around", AROUND, ids=["list", "dict", "tuple"])
def test_lists_and_dicts_may_be_nested_up_to_the_limit(around: Callable[[Any], Any]) -> None:
    codec.unpack(codec.pack(nested(NESTING, around)))
    with pytest.raises(PayloadError, match="nested deeper than 500 levels"):
        codec.pack(nested(NESTING + 1, around))


def test_nesting_far_beyond_the_limit_is_refused_too() -> None:
    with pytest.raises(PayloadError, match="nested too deeply"):
        codec.pack(nested(50_000, AROUND[0]))


def itself() -> list[object]:
    value: list[object] = [1]
    value.append({"a": value})
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "payload is of type object, which cannot be sent; send one of None, bool"),
        ({"a": [0, 1, 2, Box({"x": 1j})]}, "payload['a'][3].content['x'] is of type complex, which"),
        ([Slotted, 1], "payload[0] is of type type, which"),
        (Model(a=1, b=[dt.timedelta(1)]), "payload.b[0] is of type datetime.timedelta, which"),
        ({"a": {(1, 2): 3}}, "payload['a'] has the key (1, 2), but keys are strings or numbers"),
        ({"a": [{(object,): 3}]}, "payload['a'][0] key (<class 'object'>,)[0] is of type type, which"),
        ([{None: 3}], "payload[0] has the key None, but"),
        ({True: 3}, "payload has the key True, but"),
        ({b"a": 3}, "payload has the key b'a', but"),
        ({dt.date(2026, 1, 2): 3}, "payload has the key datetime.date(2026, 1, 2), but"),
        ([OrderedDict({(): 1})], "payload[0] has the key (), but"),
        (Box(Box({(): 1})), "payload.content.content has the key (), but"),
        ({2**64: 1}, "payload key 18446744073709551616 is an integer of more than 64 bits"),
        ({"a": {1j}}, "payload['a'] item 1j is of type complex, which"),
        (np.array([1, [object()]], dtype=object), "payload[1][0] is of type object, which"),
        (np.array([[1, 1j]], dtype=object), "payload[0][1] is of type complex, which"),
        ({"n": [2**64]}, "payload['n'][0] is an integer of more than 64 bits"),
        (-(2**63) - 1, "payload is an integer of more than 64 bits"),
        (itself(), "payload[1]['a'] contains itself"),
        (["\udcff"], "payload[0] is a text with half a surrogate pair"),
        ([memoryview(b"abcd")[::2]], "payload[0] is of type memoryview, which"),
        ((deque(),), "payload[0] is of type collections.deque, which"),
        ([range(3)], "payload[0] is of type range, which"),
        ({"f": np.sin}, "payload['f'] is of type numpy.ufunc, which"),
        ({"f": np.dtype("f8")}, "payload['f'] is of type numpy.Float64DType, which"),
        ([np.longdouble(1)], "payload[0] is of type numpy.longdouble, which"),
        ([np.array([1], dtype=np.longdouble)], "payload[0] is of type numpy.ndarray of float128, which"),
        ([np.array([b"a"])], "payload[0] is of type numpy.ndarray of |S1, which"),
        (
            [np.array([(1, 2.0)], dtype="i4,f8")],
            "payload[0] is of type numpy.ndarray of [('f0', '<i4'), ('f1', '<f8')], which",
        ),
        ([np.timedelta64(1, "s")], "payload[0] is of type numpy.timedelta64[s], which"),
        ([np.datetime64("20000-01-01")], "payload[0] is of type numpy.datetime64 beyond the years 1 to 9999, which"),
        ([np.ma.array([1.0, 2.0], mask=[False, True])], "payload[0] is of type numpy.MaskedArray, which"),
        ([lambda: 1], "payload[0] is of type function, which"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_error_names_the_path_of_what_cannot_be_sent(value: object, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        codec.pack(value)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "data",
    [
        b"<f8",
        b"<f8 1",
        b"<f8 1\n",
        b"<f8 2\n12345678",
        b"<f8 \n1234567",
        b"<f8 -1\n12345678",
        b"<f8 x\n12345678",
        b"<f8 0,99999999999999999999999\n",
        b"<f8 " + b",".join([b"1"] * 70) + b"\n12345678",
        b"|O 1\n12345678",
        b">f8 1\n12345678",
        b"\xff 1\n12345678",
    ],
)
def test_an_array_that_is_not_as_its_header_says_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="payload does not decode"):
        codec.unpack(b"\xc8" + len(data).to_bytes(2, "big") + b"\x01" + data)


@pytest.mark.parametrize("data", [b"\xd4\x63a", b"\xd4\x02x", b"\xd4\x03\xff", b"\x81\x90\x01", b"\xc0\xc0", b"\xc1"])
def test_a_malformed_payload_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="payload does not decode"):
        codec.unpack(data)
