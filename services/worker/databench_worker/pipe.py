"""What travels between a worker's parent and a slot: frames of a message and its payload, over a stream.

Owns how frames are laid out and found again. Knows no socket: who uses it sends and receives.
A large payload is received straight into memory of its own, so that nothing is copied on its way. One for which
there is none is left out, and what follows it found all the same.
"""

import struct
from contextlib import suppress
from typing import cast

_HEAD = struct.Struct("!IQ")
"""Lengths of the envelope and of its payload frame."""
_BUFFER = 2**17

Frame = tuple[bytes, bytes | None]
"""An envelope, and the payload that is a frame of its own: empty where there is none, None where memory was short."""


def laid_out(envelope: bytes, *payload: bytes | memoryview) -> list[bytes | memoryview]:
    """Return what is to be sent for a frame, as parts that need not be joined; so may the payload be."""
    return [_HEAD.pack(len(envelope), sum(map(len, payload))) + envelope, *filter(len, payload)]


class Reader:
    """Finds the frames in what is received.

    >>> reader = Reader()
    >>> data = b"".join(laid_out(b"first") + laid_out(b"second", b"payload"))
    >>> reader.target()[:len(data)] = data
    >>> reader.received(len(data))
    [(b'first', b''), (b'second', bytearray(b'payload'))]
    """

    def __init__(self) -> None:
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._envelope = b""
        self._payload: bytearray | None = None
        self._missing = 0

    def target(self) -> memoryview:
        """Return where what is received next belongs."""
        if self._payload is not None:
            return memoryview(self._payload)[-self._missing :]
        if self._missing:
            return self._view[: self._missing]
        return self._view[self._filled :]

    def received(self, size: int) -> list[Frame]:
        """Take into account that so many bytes were received there, and return the frames that are complete."""
        frames: list[Frame] = []
        if not self._missing:
            self._filled += size
            self._parse(frames)
        else:
            self._missing -= size
            if not self._missing:
                self._finish(frames)
        return frames

    def _finish(self, frames: list[Frame]) -> None:
        frames.append((self._envelope, cast(bytes | None, self._payload)))  # who gets it only reads it, as bytes
        self._payload = None

    def _parse(self, frames: list[Frame]) -> None:
        at = needed = 0
        while self._filled - at >= _HEAD.size:
            envelope, payload = _HEAD.unpack_from(self._buffer, at)
            begin = at + _HEAD.size
            if begin + envelope > self._filled:
                needed = envelope + _HEAD.size
                break
            at = begin + envelope
            self._envelope = bytes(self._view[begin:at])
            if not payload:
                frames.append((self._envelope, b""))
                continue
            here = min(payload, self._filled - at)
            self._missing = payload - here
            with suppress(MemoryError):
                self._payload = bytearray(payload)
                self._payload[:here] = self._view[at : at + here]
            at += here
            if self._missing:
                break
            self._finish(frames)
        if at == self._filled:
            self._filled = 0
        elif at:
            self._view[: self._filled - at] = self._view[at : self._filled].tobytes()
            self._filled -= at
        if needed > len(self._buffer):
            self._grow(needed)

    def _grow(self, size: int) -> None:
        grown = bytearray(size)
        grown[: self._filled] = self._view[: self._filled]
        self._buffer, self._view = grown, memoryview(grown)
