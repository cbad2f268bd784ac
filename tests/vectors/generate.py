"""Write the golden vectors anew: `python tests/vectors/generate.py`. Look at the difference before committing it."""

import dataclasses
import datetime as dt
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from databench.wire import codec
from databench.wire.messages import (
    Accepted,
    Ack,
    Attach,
    Attached,
    Broadcasts,
    Ended,
    Gap,
    Message,
    Missed,
    Reload,
    Signal,
    Signals,
    StateChange,
    Who,
)

HERE = Path(__file__).parent

NULL = codec.pack(None)
TO_GATEWAY: dict[str, list[Message]] = {
    "attach anew": [Attach(None, "p4ge", 0, 0)],
    "attach to resume": [Attach("3f.Zm9vYmFy", "p4ge", 1024, 7)],
    "one signal": [Signal(1, "run", NULL)],
    "a signal with a payload": [Signal(7, "status", codec.pack({"pi-estimate": 3.14}))],
    "a signal with a name beyond ASCII": [Signal(300, "größe π", NULL)],
    "a signal with a payload of 300 bytes": [Signal(65_536, "bytes", codec.pack(b"x" * 300))],
    "an acknowledgement": [Ack(2**32 + 5, 3)],
    "several messages in one frame": [Ack(3, 0), Signal(2, "a", NULL), Signal(3, "b", NULL)],
}
TO_BROWSER: dict[str, list[Message]] = {
    "attached to a new session": [Attached("3f.Zm9vYmFy", False, 0, 0)],
    "attached again": [Attached("3f.Zm9vYmFy", True, 12, 70_000)],
    "a signal": [Signals(1, "status", [codec.pack({"pi-estimate": 3.0, "draws": 100})])],
    "three signals of one name": [Signals(70_000, "größe π", [NULL, codec.pack("x" * 300), codec.pack(2)])],
    "signals of two names": [Signals(1, "a", [NULL, NULL]), Signals(3, "b", [NULL])],
    "twenty signals": [Signals(5, "n", [codec.pack(number) for number in range(20)])],
    "an acknowledgement": [Accepted(1)],
    "a whole state without names": [StateChange(1, True, codec.pack([{}, []]))],
    "a change of state": [
        StateChange(2, False, codec.pack([{"state:pi": 3.0, "shared:draws": [1, 2]}, ["state:old"]]))
    ],
    "a broadcast": [Broadcasts(300, "news", [codec.pack("all")])],
    "missed broadcasts": [Missed(400, 99)],
    "a gap": [Gap(41, 40)],
    "the end of a session": [Ended("the analysis was changed")],
    "a reload": [Reload("analyses/pi.py changed")],
    "several messages in one frame": [Attached("3f.Zm9vYmFy", True, 2, 0), Gap(9, 3), Signals(10, "a", [NULL])],
}

NAN, INF = float("nan"), float("inf")
VALUES: list[tuple[str, Any, bool]] = [
    ("null", None, True),
    ("true", True, True),
    ("small integer", 7, True),
    ("negative integer", -70_000, True),
    ("largest exact integer", 2**53, False),
    ("integer beyond the exact ones", 2**53 + 1, True),
    ("largest 64-bit integer", 2**64 - 1, True),
    ("smallest 64-bit integer", -(2**63), True),
    ("number", 3.5, True),
    ("not a number", NAN, True),
    ("keys that prototypes have", {"__proto__": {"toString": [2**53 + 1]}, "constructor": {"__proto__": None}}, True),
    ("infinity", INF, True),
    ("minus infinity", -INF, True),
    ("text", "π ≈ 3", True),
    ("empty list", [], True),
    ("nested", {"a": [1, {"b": None}], "c": "d"}, True),
    ("bytes", b"\x00\xff", True),
    ("date and time with a zone", dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), False),
    ("date and time with milliseconds", dt.datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=dt.UTC), False),
    ("date and time before 1970", dt.datetime(1969, 7, 20, 20, 17, 40, tzinfo=dt.UTC), False),
    ("date and time without a zone", dt.datetime(2026, 1, 2, 3, 4, 5), False),
    ("date", dt.date(2026, 1, 2), False),
    ("float64 array", np.array([0.5, -1.25, 3e300]), True),
    ("float64 array of two dimensions", np.arange(6.0).reshape(2, 3), False),
    ("float64 array of no dimension", np.array(1.5), False),
    ("empty float64 array", np.array([]), True),
    ("float32 array", np.array([0.5, 2], dtype=np.float32), True),
    ("float16 array", np.array([0.5, 2], dtype=np.float16), False),
    ("array with not a number and infinity", np.array([NAN, INF, -INF]), True),
    ("int8 array", np.array([-1, 2], dtype=np.int8), True),
    ("uint8 array", np.array([1, 255], dtype=np.uint8), False),
    ("int16 array", np.array([-300, 300], dtype=np.int16), True),
    ("uint16 array", np.array([1, 65_535], dtype=np.uint16), True),
    ("int32 array", np.array([-70_000, 70_000], dtype=np.int32), True),
    ("uint32 array", np.array([1, 2**32 - 1], dtype=np.uint32), True),
    ("int64 array of exact integers", np.array([-(2**53), 2**53]), False),
    ("int64 array beyond the exact integers", np.array([1, 2**53 + 1]), True),
    ("bool array", np.array([True, False]), False),
    ("big-endian array", np.array([1, 2], dtype=">i4"), False),
    ("array inside a map", {"x": np.array([1.0, 2.0]), "n": 2}, True),
    ("complex array", np.array([1 + 2j]), False),
    ("array of times", np.array(["2026-01-02T03:04:05", "NaT"], dtype="datetime64[s]"), False),
    ("array of strings", np.array(["a", "b"]), False),
]

INVALID: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "gateway"),
    ("a byte msgpack never uses", b"\xc1", "gateway"),
    ("a number instead of a message", b"\x07", "gateway"),
    ("an empty array", b"\x90", "gateway"),
    ("a tag that is a number", b"\x92\x01\x02", "gateway"),
    ("an unknown tag", b"\x91\xa5hello", "gateway"),
    ("a message of the bus", codec.encode(Who()), "gateway"),
    ("a message of the other direction", codec.encode(Gap(2, 1)), "gateway"),
    ("a field too few", b"\x92\xa3ack\x01", "gateway"),
    ("a field too many", b"\x94\xa3ack\x01\x02\x03", "gateway"),
    ("a field of the wrong type", b"\x93\xa3ack\xa11\x00", "gateway"),
    ("a boolean where a number belongs", b"\x93\xa3ack\xc3\x00", "gateway"),
    ("a float where an integer belongs", b"\x93\xa3ack\xcb" + struct.pack(">d", 1) + b"\x00", "gateway"),
    ("a negative number", b"\x93\xa3ack\xff\x00", "gateway"),
    ("a signal without a name", b"\x94\xa6signal\x01\xa0\xc4\x01\xc0", "gateway"),
    ("a page without a name", b"\x95\xa6attach\xc0\xa0\x00\x00", "gateway"),
    ("a page with a name too long", codec.encode(Attach(None, "p" * 65, 0, 0)), "gateway"),
    ("a broadcast from a browser", codec.encode(Broadcasts(1, "news", [NULL])), "gateway"),
    ("a broadcast without a name", codec.encode(Broadcasts(1, "", [NULL])), "browser"),
    ("a payload that is not bin", b"\x94\xa6signal\x01\xa1a\xc0", "gateway"),
    ("a frame cut short", codec.encode(Signal(1, "run", NULL))[:-1], "gateway"),
    ("a good message and half of another", codec.encode(Ack(1, 0)) + b"\x92\xa3ac", "gateway"),
    ("an array that claims four billion elements", b"\xdd\xff\xff\xff\xff", "gateway"),
    ("nesting without end", b"\x91" * 5_000, "gateway"),
    ("half a signal for a browser", codec.encode(Signals(1, "run", [NULL]))[:-1], "browser"),
    ("a run without signals", codec.encode(Signals(1, "run", [])), "browser"),
    ("a run with a payload that is not bin", b"\x94\xa7signals\x01\xa1a\x92\xc4\x01\xc0\xc0", "browser"),
    ("a run that is no array", b"\x94\xa7signals\x01\xa1a\xc4\x01\xc0", "browser"),
    ("an attach for a browser", codec.encode(Attach(None, "p4ge", 0, 0)), "browser"),
    ("an unknown tag for a browser", b"\x91\xa5hello", "browser"),
]


def noted_message(message: Message) -> dict[str, Any]:
    """Return a message as a JSON object, its payloads in hexadecimal."""
    fields = {field.name: getattr(message, field.name) for field in dataclasses.fields(message)}
    return {"tag": message.tag} | {name: _noted_field(value) for name, value in fields.items()}


def _noted_field(value: Any) -> Any:
    if isinstance(value, list):
        return [_noted_field(part) for part in value]
    return value.hex() if isinstance(value, bytes) else value


def noted(value: Any) -> Any:
    """Return the value in the notation of the vectors: JSON, and objects with one key that begins with $."""
    match value:
        case float() if value != value or value in (INF, -INF):
            return {"$float": {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]}
        case bool() | None | str() | float():
            return value
        case int():
            return value if abs(value) <= 2**53 else {"$int": str(value)}
        case bytes():
            return {"$bytes": value.hex()}
        case dt.datetime():
            return {"$datetime": value.isoformat()} if value.tzinfo else {"$naive": value.isoformat()}
        case dt.date():
            return {"$date": value.isoformat()}
        case list():
            return [noted(part) for part in value]
        case dict():
            return {key: noted(part) for key, part in value.items()}
    return _noted_array(value)


def _noted_array(array: Any) -> Any:
    if array.dtype.kind == "U":
        return array.tolist()
    array = array.astype("<M8[ms]") if array.dtype.kind == "M" else array.astype(array.dtype.newbyteorder("<"))
    flat = array.ravel()
    if array.dtype.kind == "M":
        values: Any = [None if text == "NaT" else text for text in map(str, flat)]
    elif array.dtype.kind == "c":
        values = [[part.real, part.imag] for part in flat.tolist()]
    else:
        values = noted(flat.tolist())
    return {"$array": {"dtype": array.dtype.str, "shape": list(array.shape), "values": values}}


def write(name: str, rows: list[dict[str, Any]]) -> None:
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (HERE / f"{name}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main() -> None:
    write(
        "messages",
        [
            {
                "name": name,
                "to": to,
                "messages": list(map(noted_message, messages)),
                "hex": codec.encode(*messages).hex(),
            }
            for to, table in (("gateway", TO_GATEWAY), ("browser", TO_BROWSER))
            for name, messages in table.items()
        ],
    )
    write(
        "values",
        [
            {"name": name, "hex": codec.pack(value).hex(), "value": noted(value), "encode": encode}
            for name, value, encode in VALUES
        ],
    )
    write("invalid", [{"name": name, "hex": data.hex(), "to": to} for name, data, to in INVALID])


if __name__ == "__main__":
    main()
