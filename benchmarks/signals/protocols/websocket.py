"""A WebSocket of few instructions, so that the servers are measured and not their client."""

import asyncio
import os
from base64 import b64encode
from collections.abc import Callable
from typing import Self, TypeVar, cast

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

Result = TypeVar("Result")
Receive = Callable[[int, bytes], None]
"""Takes a message: TEXT or BINARY, and its bytes."""


class WebSocket(asyncio.Protocol):
    """The client's end of a connection without extensions."""

    def __init__(self, receive: Receive) -> None:
        self.transport = cast(asyncio.Transport, None)
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._receive = receive
        self._buffer = bytearray()
        self._kind = 0
        self._parts: list[bytes] = []

    @classmethod
    async def open(cls, port: int, path: str, subprotocol: str, receive: Receive) -> Self:
        """Connect to this machine's port and shake hands."""
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_connection(lambda: cls(receive), "127.0.0.1", port)
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            *([f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []),
        ]
        socket.transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        await socket._opened
        return socket

    async def until(self, done: "asyncio.Future[Result]") -> Result:
        """Return what this becomes; raises ConnectionError when the connection is lost before."""
        await asyncio.wait((done, self.closed), return_when=asyncio.FIRST_COMPLETED)
        if not done.done():
            raise ConnectionError(self.closed.result())
        return done.result()

    def send(self, data: bytes, kind: int = BINARY) -> None:
        """Send a message. Its mask is zero: masking is a browser's work, which would be measured here."""
        size = len(data)
        if size < 126:
            head = bytes((0x80 | kind, 0x80 | size))
        else:
            head = bytes((0x80 | kind, 0x80 | 127)) + size.to_bytes(8, "big")
        self.transport.write(head + b"\0\0\0\0" + data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell who waits."""
        if not self._opened.done():
            self._opened.set_exception(ConnectionError("closed while opening"))
        if not self.closed.done():
            self.closed.set_result(str(error or "closed"))

    def data_received(self, data: bytes) -> None:
        """Take what has arrived apart."""
        self._buffer += data
        if not self._opened.done():
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if b" 101 " not in self._buffer[:40]:
                self._opened.set_exception(ConnectionError(self._buffer[:200].decode(errors="replace")))
                return
            del self._buffer[: end + 4]
            self._opened.set_result(None)
        at = 0
        while frame := self._frame(at):
            head, start, at = frame
            self._take(head, bytes(self._buffer[start:at]))
        del self._buffer[:at]

    def _frame(self, at: int) -> tuple[int, int, int] | None:
        """Return the first byte of the frame at this place and where its payload starts and ends, if all is here."""
        buffer = self._buffer
        if len(buffer) < at + 2:
            return None
        size, start = buffer[at + 1], at + 2
        if size >= 126:
            start += 2 if size == 126 else 8
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[at + 2 : start], "big")
        return (buffer[at], start, start + size) if len(buffer) >= start + size else None

    def _take(self, head: int, data: bytes) -> None:
        kind = head & 0x0F
        if head & 0x80 and kind in (TEXT, BINARY):
            self._receive(kind, data)
        elif kind == PING:
            self.send(data, PONG)
        elif kind == CLOSE:
            if not self.closed.done():
                self.closed.set_result(f"closed by the server: {data[2:].decode(errors='replace')}")
            self.transport.close()
        elif kind in (CONTINUED, TEXT, BINARY):
            self._kind = kind or self._kind
            self._parts.append(data)
            if head & 0x80:
                self._receive(self._kind, b"".join(self._parts))
                self._parts = []
