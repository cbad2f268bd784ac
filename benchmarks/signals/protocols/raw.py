"""Signals as msgpack arrays of name and payload."""

from typing import Any

import msgpack

from benchmarks.signals.protocols.contract import Client


class RawClient(Client):
    """A viewer of the raw WebSocket."""

    def path(self) -> str:
        """Return where the WebSocket is."""
        return f"/?token={self.token}"

    def emit(self, name: str, payload: object) -> None:
        """Send a signal."""
        self.socket.send(msgpack.packb([name, payload]))

    @staticmethod
    def decoded(data: bytes) -> Any:
        """Return name and payload."""
        return msgpack.unpackb(data)

    def receive(self, kind: int, data: bytes) -> None:
        """Take a signal."""
        name, payload = self.decode(data)
        self.take(name, payload)


class ChainClient(RawClient):
    """A viewer of the bare chain, which joins signals."""

    @staticmethod
    def decoded(data: bytes) -> Any:
        """Return names and payloads."""
        unpacker = msgpack.Unpacker(max_buffer_size=0)
        unpacker.feed(data)
        return list(unpacker)

    def receive(self, kind: int, data: bytes) -> None:
        """Take some signals."""
        for name, payload in self.decode(data):
            self.take(name, payload)
