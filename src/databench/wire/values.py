"""How Python values that msgpack lacks travel (docs/protocol.md, section 5).

Owns the extension types and the search for what cannot be sent. Knows nothing of messages. numpy and
matplotlib are looked at only when the author's value comes from them, so neither is imported here.
"""

import dataclasses
import datetime
import enum
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, cast

ARRAY, NAIVE_DATETIME, DATE = 1, 2, 3
ARRAY_DTYPES = frozenset(
    [
        "|b1",
        "|i1",
        "|u1",
        "<i2",
        "<u2",
        "<i4",
        "<u4",
        "<i8",
        "<u8",
        "<f2",
        "<f4",
        "<f8",
        "<c8",
        "<c16",
        "<M8[ms]",
    ]
)
SENDABLE = "None, bool, int, float, str, bytes, list, tuple, set, dict, datetime, date, dataclass, numpy array"


NESTING = 500
"""Levels of lists and dicts inside a payload."""
_CONTAINERS = (dict, list, tuple)
SCALARS = frozenset({type(None), bool, int, float, str, bytes})
KEYS = frozenset({str, int, float})


class Extension(NamedTuple):
    """A value of an extension type: its code and its bytes."""

    code: int
    data: bytes


class Array(NamedTuple):
    """A numpy array as it travels: dtype and shape in words, and its elements in C order, not copied."""

    kind: str
    elements: memoryview

    def extension(self) -> Extension:
        """Return it with a copy of its elements."""
        return Extension(ARRAY, b"".join((self.kind.encode(), b"\n", self.elements)))


def check_structure(value: object, level: int = 1) -> None:
    """Raise ValueError where msgpack would send what no receiver takes: keys of other types, too many levels."""
    if level > NESTING:
        raise ValueError("nested too deeply")
    parts: Collection[object]
    if isinstance(value, dict):
        # Sets of types are made without a step of Python per item.
        if not KEYS.issuperset(map(type, value)) and not all(map(_is_key, value)):
            raise ValueError("a key is neither a string nor a number")
        parts = value.values()
    elif isinstance(value, _CONTAINERS):
        parts = value
    else:
        return
    if not SCALARS.issuperset(map(type, parts)):
        for part in parts:
            if isinstance(part, _CONTAINERS):
                check_structure(part, level + 1)


def _is_key(key: object) -> bool:
    if not isinstance(key, str | int | float):
        try:
            key = replacement(key)
        except TypeError:
            return False
    return isinstance(key, str | int | float) and not isinstance(key, bool)


def replacement(value: object) -> object:
    """Return what travels in place of a value that msgpack does not know: Extension, Array or something simpler.

    Raises TypeError when there is nothing.
    """
    module = type(value).__module__.partition(".")[0]
    if module == "numpy":
        return _of_numpy(value)
    if module == "matplotlib" and hasattr(value, "savefig"):
        return _of_figure(value)
    match value:
        case datetime.datetime() if value.tzinfo is not None:
            # Of a subclass, which msgpack does not know.
            return datetime.datetime.combine(value.date(), value.timetz())
        case datetime.datetime():
            return Extension(NAIVE_DATETIME, value.isoformat().encode())
        case datetime.date():
            return Extension(DATE, value.isoformat().encode())
        case enum.Enum():
            return value.value
        case set() | frozenset():
            return list(value)
        case Mapping():
            return dict(value)
    if (fields := _fields(value)) is not None:
        return fields
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__}")


def _fields(value: object) -> dict[str, object] | None:
    """Return the fields of a dataclass or a pydantic model."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump") and hasattr(type(value), "model_fields"):
        return cast(dict[str, object], value.model_dump())
    return None


def _of_numpy(value: Any) -> object:
    # The elements behind a mask mean nothing, and on the wire nothing would tell which those are.
    if not hasattr(value, "dtype") or hasattr(value, "mask"):
        raise TypeError(f"numpy.{type(value).__qualname__}")
    if value.dtype.kind in "Mm" or (value.ndim == 0 and not isinstance(value, sys.modules["numpy"].ndarray)):
        return _of_numpy_time(value) if value.dtype.kind in "Mm" else value.item()
    if value.dtype.kind in "UOT":
        return value.tolist()
    return _of_array(value.astype(value.dtype.newbyteorder("<"), order="C", copy=False))


def _of_numpy_time(value: Any) -> object:
    if value.dtype.kind == "m":
        raise TypeError(f"numpy.{value.dtype}")
    milliseconds = value.astype("<M8[ms]")
    if milliseconds.ndim == 0:
        moment = milliseconds.item()
        if isinstance(moment, int):
            raise TypeError("numpy.datetime64 beyond the years 1 to 9999")
        return moment and moment.replace(tzinfo=datetime.UTC)
    return _of_array(milliseconds)


def _of_array(array: Any) -> Array:
    dtype = array.dtype.str
    if dtype not in ARRAY_DTYPES:
        raise TypeError(f"numpy.ndarray of {array.dtype}")
    shape = ",".join(map(str, array.shape))
    # In C order, as bytes; without a copy of its own where the array is laid out like that.
    elements = array.reshape(-1).view("u1").data if array.size else memoryview(b"")
    return Array(f"{dtype} {shape}", elements)


def _of_figure(figure: Any) -> object:
    import mpld3

    return mpld3.fig_to_dict(figure)


def restored(code: int, data: bytes) -> object:
    """Return the value behind an extension type; raises ValueError when it is malformed or unknown."""
    if code == ARRAY:
        return _restored_array(data)
    if code == NAIVE_DATETIME:
        return datetime.datetime.fromisoformat(data.decode("ascii"))
    if code == DATE:
        return datetime.date.fromisoformat(data.decode("ascii"))
    raise ValueError(f"extension type {code} is not known")


def _restored_array(data: bytes) -> object:
    import numpy as np

    header, newline, _ = data[:512].partition(b"\n")
    if not newline:
        raise ValueError("array header is malformed")
    dtype, lengths = array_kind(header.decode("ascii"))
    # The copy is aligned, and its owner may write to it.
    return np.frombuffer(data, dtype=dtype, offset=len(header) + 1).reshape(lengths).copy()


def array_kind(kind: str) -> tuple[str, tuple[int, ...]]:
    """Return dtype and shape from their words; raises ValueError where they are malformed."""
    dtype, space, shape = kind.partition(" ")
    if not space or dtype not in ARRAY_DTYPES:
        raise ValueError("array header is malformed")
    lengths = tuple(int(length) for length in shape.split(",")) if shape else ()
    if any(length < 0 for length in lengths):
        raise ValueError("array has a negative length")
    return dtype, lengths


def blame(value: object, sendable: Callable[[object], bool], path: str = "payload") -> str:
    """Return the path of the first part of `value` that cannot be sent, and what it is.

    `sendable` tells of a single value, containers included, whether it can be sent. Only called when
    something failed, so it may be slow.
    """
    above: list[object] = []
    while True:
        if len(above) > 200 or any(value is other for other in above):
            return f"{path} contains itself or is nested too deeply"
        above.append(value)
        for step, part in _parts(value):
            if not sendable(part):
                path, value = path + step, part
                break
        else:
            if isinstance(value, Mapping) and (wrong := [key for key in value if not _is_key(key)]):
                return f"{path} has the key {wrong[0]!r}, but keys are strings or numbers"
            if isinstance(value, _CONTAINERS):
                return f"{path} is nested deeper than {NESTING} levels"
            if isinstance(value, int):
                return f"{path} is an integer of more than 64 bits"
            if isinstance(value, str):
                return f"{path} is a text with half a surrogate pair, which UTF-8 does not have"
            return f"{path} is of type {_kind(value)}, which cannot be sent; send one of {SENDABLE}"


def _kind(value: object) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    try:
        replacement(value)
    except TypeError as error:
        kind = str(error)
    return kind.removeprefix("builtins.")


def _parts(value: object) -> list[tuple[str, object]]:
    match value:
        case Mapping():
            keys = [(f" key {key!r}", key) for key in value]
            return keys + [(f"[{key!r}]", part) for key, part in value.items()]
        case list() | tuple():
            return [(f"[{index}]", part) for index, part in enumerate(value)]
        case set() | frozenset():
            return [(f" item {part!r}", part) for part in value]
    if type(value).__module__ == "numpy" and hasattr(value, "dtype") and hasattr(value, "tolist"):
        parts = value.tolist() if value.dtype.kind == "O" else []
        return [(f"[{index}]", part) for index, part in enumerate(parts)] if isinstance(parts, list) else []
    return [(f".{name}", part) for name, part in (_fields(value) or {}).items()]
