"""Payloads of chunks: a value, and the elements of its large arrays behind it, which are copied once on their way.

Owns that layout (docs/protocol.md, section 4). Where a payload is kept, in memory or elsewhere, Source hides.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, Protocol, cast

from databench.errors import PayloadError
from databench.wire import codec
from databench.wire.codec import MAX_PAYLOAD
from databench.wire.values import Array, Extension, array_kind, restored

APART = 16 * 2**10
"""Bytes of elements from which on an array stands behind the value."""
ELSEWHERE = 4
"""Extension type of what stands in the value for such an array."""
_BIN = b"\xc6"
"""How a payload with elements behind its value begins: the value is a msgpack bin of 32 bits of length."""
_HEAD = 5

Parts = Sequence[bytes | memoryview]
"""A payload that is not joined: it shows the author's arrays as they are now."""


class Source(Protocol):
    """A payload that is received: bytes, or what gives them when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


class Filling(Source, Protocol):
    """A payload that is kept elsewhere, and copied from there to where it is wanted."""

    def fill(self, target: memoryview, begin: int) -> None:
        """Copy what lies from `begin` on to the target, all of it."""


def size_of(parts: Parts) -> int:
    """Return the bytes of a payload."""
    return sum(map(len, parts))


def joined(parts: Parts) -> bytes:
    """Return a payload in one piece."""
    first = parts[0]
    return first if len(parts) == 1 and isinstance(first, bytes) else b"".join(parts)


def pack(value: object, *, limit: int = MAX_PAYLOAD) -> Parts:
    """Return the payload of a value; raises PayloadError for what cannot be sent.

    >>> pack([1, 2])
    [b'\\x92\\x01\\x02']
    """
    behind: list[bytes | memoryview] = []
    end = 0

    def set_apart(array: Array) -> Extension | None:
        nonlocal end
        if len(array.elements) < APART:
            return None
        behind.append(array.elements)
        begin, end = end, end + len(array.elements)
        return Extension(ELSEWHERE, f"{array.kind}\n{begin}".encode())

    data = codec.pack_apart(value, set_apart)
    if (size := len(data) + end) > limit:
        raise PayloadError(f"payload has {size:,} bytes, more than the limit of {limit:,}")
    return [_BIN + len(data).to_bytes(4, "big") + data, *behind] if behind else [data]


def unpack(payload: Source) -> Any:
    """Return the value of a payload; arrays have memory of their own.

    Raises RemoteProtocolError where it is malformed.
    """
    if payload[:1] != _BIN:
        return codec.unpack(payload[:])
    begin = _HEAD + int.from_bytes(payload[1:_HEAD], "big")

    def restore(code: int, data: bytes) -> object:
        return _array(data, payload, begin) if code == ELSEWHERE else restored(code, data)

    return codec.unpack(payload[_HEAD:begin], restore)


def first_bytes(payload: Source, count: int) -> bytes:
    """Return how the value of a payload begins."""
    begin = _HEAD if payload[:1] == _BIN else 0
    return payload[begin : begin + count]


def _array(data: bytes, payload: Source, behind: int) -> object:
    import numpy as np

    kind, newline, offset = data.decode("ascii").partition("\n")
    dtype, lengths = array_kind(kind)
    begin = behind + int(offset)
    size = prod(lengths) * np.dtype(dtype).itemsize
    if not newline or not behind <= begin <= begin + size <= len(payload):
        raise ValueError("the elements of an array are not there")
    array = np.empty(lengths, dtype)
    target = array.reshape(-1).view("u1").data if size else memoryview(b"")
    if isinstance(payload, bytes | bytearray | memoryview):
        target[:] = memoryview(payload)[begin : begin + size]
    else:
        cast(Filling, payload).fill(target, begin)
    return array
