"""Messages and values to bytes and back: the only file that knows msgpack.

Owns the limits and the check that every message is exactly as docs/protocol.md says. What it refuses
raises RemoteProtocolError (received) or PayloadError (about to be sent); it never returns half a frame.
"""

import dataclasses
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any, get_args, get_origin

import msgpack

from databench.errors import PayloadError, RemoteProtocolError
from databench.wire.messages import (
    NAME_LIMIT,
    PAGE_LIMIT,
    Attach,
    Broadcasts,
    Message,
    Signal,
    Signals,
    StateChange,
    Vocabulary,
)
from databench.wire.values import SCALARS, Extension, blame, check_structure, replacement, restored

MAX_PAYLOAD = 64 * 2**20
"""Bytes of one payload, in any direction."""

_UNSENDABLE = (TypeError, ValueError, OverflowError, RecursionError, BufferError)
_LONGEST_MESSAGE = 16
_LONGEST_RUN = 2**17
"""Payloads in one message: more than any log keeps."""
_MANY = 64
"""Items of a list from which on packing it first and then looking at its bytes pays."""
_NAMED = {Signal.tag: NAME_LIMIT, Signals.tag: NAME_LIMIT, Broadcasts.tag: NAME_LIMIT, Attach.tag: PAGE_LIMIT}
"""Messages whose second field is a name, and its longest length."""
_RUNS = (Signals.tag, Broadcasts.tag)


def _default(value: object) -> object:
    simpler = replacement(value)
    check_structure(simpler)
    return msgpack.ExtType(*simpler) if isinstance(simpler, Extension) else simpler


class _Packers(threading.local):
    """One packer per thread: a packer's buffer must not be shared, and making one costs more than packing."""

    def __init__(self) -> None:
        self.values = msgpack.Packer(default=_default, datetime=True, buf_size=4096)
        self.messages = msgpack.Packer(buf_size=4096)
        self.pack_value = self.values.pack


_packers = _Packers()


def pack(value: object, limit: int = MAX_PAYLOAD) -> bytes:
    """Return the bytes of an author's value.

    Raises PayloadError (a TypeError), which names the path inside the value that cannot be sent.

    >>> pack({"pi": 3.0}).hex()
    '81a27069cb4008000000000000'
    """
    try:
        # Most payloads are a flat dict, or floats: looking at each level, or each number, would cost more than packing.
        if type(value) is dict:
            for key, part in value.items():
                if type(key) is not str or type(part) not in SCALARS:
                    check_structure(value)
                    break
            data: bytes = _packers.pack_value(value)
        elif type(value) is list and len(value) > _MANY and type(value[0]) is float:
            data = _packers.pack_value(value)
            if not _are_floats(data, len(value)):
                check_structure(value)
        else:
            check_structure(value)
            data = _packers.pack_value(value)
    except _UNSENDABLE:
        _packers.values.reset()
        raise PayloadError(blame(value, _packs)) from None
    if len(data) > limit:
        raise PayloadError(f"payload has {len(data):,} bytes, more than the limit of {limit:,}")
    return data


def _are_floats(data: bytes, count: int) -> bool:
    """Return whether these are the bytes of a list of so many floats and nothing else: each begins with its tag."""
    header = 3 if count < 2**16 else 5
    return len(data) == header + 9 * count and data[header::9] == b"\xcb" * count


def _packs(value: object) -> bool:
    try:
        check_structure(value)
        _packers.values.pack(value)
    except _UNSENDABLE:
        _packers.values.reset()
        return False
    return True


def unpack(data: bytes) -> Any:
    """Return the author's value behind the bytes; raises RemoteProtocolError when they are malformed.

    >>> unpack(bytes.fromhex("81a27069cb4008000000000000"))
    {'pi': 3.0}
    """
    try:
        return msgpack.unpackb(data, ext_hook=restored, timestamp=3, strict_map_key=False)
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError, msgpack.UnpackException) as error:
        raise RemoteProtocolError(f"payload does not decode: {str(error) or type(error).__name__}") from None


def encode(*messages: Message) -> bytes:
    """Return one frame of these messages."""
    pack_one = _packers.messages.pack
    return b"".join([pack_one(_fields(type(message))(message)) for message in messages])


def encode_runs(
    kind: type[Signals] | type[Broadcasts], first: int, names: Sequence[str], payloads: Sequence[bytes]
) -> bytes:
    """Return the frame of what is numbered from `first` on: a message for each run of one name.

    >>> frame = encode_runs(Signals, 7, ["a", "a", "b"], [b"\\xc0", b"\\x01", b"\\x02"])
    >>> decode(frame, (Signals,))
    [Signals(seq=7, name='a', payloads=[b'\\xc0', b'\\x01']), Signals(seq=9, name='b', payloads=[b'\\x02'])]
    """
    pack_one = _packers.messages.pack
    if names.count(names[0]) == len(names):
        data: bytes = pack_one((kind.tag, first, names[0], payloads))
        return data
    parts, at = [], 0
    for name, run in groupby(names):
        end = at + sum(1 for _ in run)
        parts.append(pack_one((kind.tag, first + at, name, payloads[at:end])))
        at = end
    return b"".join(parts)


def encode_state(number: int, whole: bool, values: Mapping[str, bytes], removed: Sequence[str]) -> bytes:
    """Return the frame of one StateChange, made of values that are packed already."""
    packer = _packers.messages
    parts = [packer.pack_array_header(2), packer.pack_map_header(len(values))]
    for name, value in values.items():
        parts += (packer.pack(name), value)
    parts.append(packer.pack(list(removed)))
    data: bytes = packer.pack((StateChange.tag, number, whole, b"".join(parts)))
    return data


def fold(number: int) -> int:
    """Return a number from 0 on for one that may be negative, small for small ones: fields hold no negative numbers.

    >>> [fold(number) for number in (0, -1, 1, -2, 2)]
    [0, 1, 2, 3, 4]
    """
    return 2 * number if number >= 0 else -2 * number - 1


def unfold(number: int) -> int:
    """Return the number that was folded.

    >>> [unfold(number) for number in (0, 1, 2, 3, 4)]
    [0, -1, 1, -2, 2]
    """
    return number // 2 if number % 2 == 0 else -(number // 2) - 1


def _fields(kind: type[Message]) -> Callable[[Message], tuple[Any, ...]]:
    """Return what takes the tag and all fields from a message of this kind, in C."""
    if (getter := _getters.get(kind)) is None:
        # Of a single name `attrgetter` makes no tuple.
        getter = attrgetter("tag", *kind.__match_args__) if kind.__match_args__ else lambda message: (message.tag,)
        _getters[kind] = getter
    return getter


_getters: dict[type[Message], Callable[[Message], tuple[Any, ...]]] = {}


@cache
def _grammar(vocabulary: Vocabulary) -> dict[str, tuple[type[Message], tuple[tuple[type, ...], ...]]]:
    """Return for each tag the class and the types that each field may have."""
    return {kind.tag: (kind, tuple(_allowed(field.type) for field in dataclasses.fields(kind))) for kind in vocabulary}


def _allowed(annotation: Any) -> tuple[type, ...]:
    if isinstance(annotation, types.UnionType):
        return get_args(annotation)
    return (float, int) if annotation is float else (get_origin(annotation) or annotation,)


def decode(data: bytes, vocabulary: Vocabulary) -> list[Message]:
    """Return the messages of a frame, all of them from `vocabulary`.

    Raises RemoteProtocolError for anything that is not exactly a frame.
    """
    grammar = _grammar(vocabulary)
    longest = _LONGEST_RUN if Signals.tag in grammar else _LONGEST_MESSAGE
    try:
        # Most frames are one message, for which an Unpacker would cost ten times as much.
        items = [msgpack.unpackb(data, max_array_len=longest, max_map_len=0, max_ext_len=0)]
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        items = _several(data, longest)
    return [_message(item, grammar) for item in items]


def _several(data: bytes, longest: int) -> list[Any]:
    try:
        # An array that claims to be long is refused before memory is set aside for it.
        unpacker = msgpack.Unpacker(max_buffer_size=len(data), max_array_len=longest, max_map_len=0, max_ext_len=0)
        unpacker.feed(data)
        items, end = [], 0
        for item in unpacker:
            items.append(item)
            end = unpacker.tell()
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise RemoteProtocolError(f"frame does not decode: {str(error) or type(error).__name__}") from None
    if not items or end != len(data):
        raise RemoteProtocolError("frame ends inside a message")
    return items


def _message(item: Any, grammar: dict[str, tuple[type[Message], tuple[tuple[type, ...], ...]]]) -> Message:
    if type(item) is not list or not item or type(item[0]) is not str:
        raise RemoteProtocolError("message is not an array that begins with a tag")
    if (entry := grammar.get(item[0])) is None:
        raise RemoteProtocolError(f"message {item[0][:40]!r} is not allowed here")
    kind, types_allowed = entry
    if len(item) != len(types_allowed) + 1:
        raise RemoteProtocolError(f"{item[0]!r} has {len(item) - 1} fields, not {len(types_allowed)}")
    tag = item[0]
    del item[0]
    for value, allowed in zip(item, types_allowed, strict=True):
        kind_of_value = type(value)
        if kind_of_value not in allowed:
            raise RemoteProtocolError(f"{tag!r} has a field of type {kind_of_value.__name__}")
        if kind_of_value is int and value < 0:
            raise RemoteProtocolError(f"{tag!r} has a negative number")
    if tag in _NAMED and not 0 < len(item[1]) <= _NAMED[tag]:
        raise RemoteProtocolError(f"the name in {tag!r} has 1 to {_NAMED[tag]} characters")
    if tag in _RUNS and not (item[2] and {*map(type, item[2])} == {bytes}):
        raise RemoteProtocolError(f"{tag!r} has no payloads, or one that is not bytes")
    return kind(*item)


def decode_one(data: bytes, vocabulary: Vocabulary) -> Message:
    """Return the only message of a frame; raises RemoteProtocolError when there are more."""
    messages = decode(data, vocabulary)
    if len(messages) != 1:
        raise RemoteProtocolError(f"{len(messages)} messages where one was expected")
    return messages[0]
