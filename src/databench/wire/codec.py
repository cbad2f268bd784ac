"""Messages and values to bytes and back: the only file that knows msgpack.

Owns the limits and the check that every message is exactly as docs/protocol.md says. What it refuses
raises RemoteProtocolError (received) or PayloadError (about to be sent); it never returns half a frame.
"""

import dataclasses
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import groupby, product
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
from databench.wire.values import SCALARS, Array, Extension, blame, check_structure, replacement, restored

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
    return _sendable(replacement(value))


def _sendable(simpler: object) -> object:
    if isinstance(simpler, Array):
        simpler = simpler.extension()
    check_structure(simpler)
    return msgpack.ExtType(*simpler) if isinstance(simpler, Extension) else simpler


SetApart = Callable[[Array], Extension | None]
"""Takes an array that is to travel beside the value, and returns what stands for it inside; None to have it inside."""


def _inside(array: Array) -> Extension | None:
    return None


class _Packers(threading.local):
    """One packer per thread: a packer's buffer must not be shared, and making one costs more than packing."""

    def __init__(self) -> None:
        self.values = msgpack.Packer(default=_default, datetime=True, buf_size=4096)
        self.messages = msgpack.Packer(buf_size=4096)
        self.apart = msgpack.Packer(default=self._default_apart, datetime=True, buf_size=4096)
        self.pack_value = self.values.pack
        self.set_apart: SetApart = _inside

    def _default_apart(self, value: object) -> object:
        simpler = replacement(value)
        reference = self.set_apart(simpler) if isinstance(simpler, Array) else None
        return _sendable(simpler if reference is None else reference)


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


def pack_apart(value: object, set_apart: SetApart) -> bytes:
    """Return the bytes of an author's value without those arrays that are set apart.

    Raises PayloadError as `pack`, but knows no limit.
    """
    _packers.set_apart = set_apart
    try:
        check_structure(value)
        data: bytes = _packers.apart.pack(value)
    except _UNSENDABLE:
        _packers.apart.reset()
        raise PayloadError(blame(value, _packs)) from None
    finally:
        _packers.set_apart = _inside
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


def unpack(data: bytes, ext_hook: Callable[[int, bytes], object] = restored) -> Any:
    """Return the author's value behind the bytes; raises RemoteProtocolError when they are malformed.

    >>> unpack(bytes.fromhex("81a27069cb4008000000000000"))
    {'pi': 3.0}
    """
    try:
        return msgpack.unpackb(data, ext_hook=ext_hook, timestamp=3, strict_map_key=False)
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError, msgpack.UnpackException) as error:
        raise RemoteProtocolError(f"payload does not decode: {str(error) or type(error).__name__}") from None


def encode(*messages: Message) -> bytes:
    """Return one frame of these messages."""
    pack_one = _packers.messages.pack
    if len(messages) == 1:
        [message] = messages
        data: bytes = pack_one(_fields[type(message)](message))
        return data
    return b"".join([pack_one(_fields[type(message)](message)) for message in messages])


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


class _Fields(dict[type[Message], Callable[[Message], tuple[Any, ...]]]):
    """For each kind of message what takes the tag and all fields from one, in C."""

    def __missing__(self, kind: type[Message]) -> Callable[[Message], tuple[Any, ...]]:
        # Of a single name `attrgetter` makes no tuple.
        getter = attrgetter("tag", *kind.__match_args__) if kind.__match_args__ else lambda message: (message.tag,)
        self[kind] = getter
        return getter


_fields = _Fields()


class _Form:
    """What a message of one kind looks like on the wire."""

    __slots__ = ("_allowed", "kind", "longest_name", "numbers", "run")

    def __init__(self, kind: type[Message]) -> None:
        self.kind = kind
        self.longest_name = _NAMED.get(kind.tag, 0)
        self.run = kind.tag in _RUNS
        self._allowed = [_allowed(field.type) for field in dataclasses.fields(kind)]
        self.numbers = {
            types_of_fields: tuple(place for place, each in enumerate(types_of_fields) if each is int)
            for types_of_fields in product((str,), *self._allowed)
        }
        """For each tuple of types that a message may have, the places of its whole numbers."""

    def objection(self, item: list[Any]) -> str:
        """Return what is wrong with the types in a message."""
        if len(item) != len(self._allowed) + 1:
            return f"{self.kind.tag!r} has {len(item) - 1} fields, not {len(self._allowed)}"
        wrong = next(
            type(value) for value, allowed in zip(item[1:], self._allowed, strict=True) if type(value) not in allowed
        )
        return f"{self.kind.tag!r} has a field of type {wrong.__name__}"


_Grammar = Mapping[str, _Form]


@cache
def _grammar(vocabulary: Vocabulary) -> _Grammar:
    return {kind.tag: _Form(kind) for kind in vocabulary}


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


def _message(item: Any, grammar: _Grammar) -> Message:
    if type(item) is not list or not item or type(item[0]) is not str:
        raise RemoteProtocolError("message is not an array that begins with a tag")
    if (form := grammar.get(item[0])) is None:
        raise RemoteProtocolError(f"message {item[0][:40]!r} is not allowed here")
    # One look-up for the types of all fields: a look at each of them would cost more than all the rest.
    if (numbers := form.numbers.get(tuple(map(type, item)))) is None:
        raise RemoteProtocolError(form.objection(item))
    for place in numbers:
        if item[place] < 0:
            raise RemoteProtocolError(f"{item[0]!r} has a negative number")
    if form.longest_name and not 0 < len(item[2]) <= form.longest_name:
        raise RemoteProtocolError(f"the name in {item[0]!r} has 1 to {form.longest_name} characters")
    if form.run and not (item[3] and {*map(type, item[3])} == {bytes}):
        raise RemoteProtocolError(f"{item[0]!r} has no payloads, or one that is not bytes")
    del item[0]
    return form.kind(*item)


def decode_one(data: bytes, vocabulary: Vocabulary) -> Message:
    """Return the only message of a frame; raises RemoteProtocolError when there are more."""
    messages = decode(data, vocabulary)
    if len(messages) != 1:
        raise RemoteProtocolError(f"{len(messages)} messages where one was expected")
    return messages[0]
