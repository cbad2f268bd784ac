"""Signals as msgpack arrays of name and payload."""

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

    def receive(self, kind: int, data: bytes) -> None:
        """Take a signal."""
        name, payload = msgpack.unpackb(data)
        self.take(name, payload)
