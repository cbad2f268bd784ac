"""Socket.IO 5 over Engine.IO 4, as its browser client speaks it once it has its WebSocket."""

import asyncio
import json
from typing import Any

from benchmarks.signals.protocols.contract import Client
from benchmarks.signals.protocols.websocket import TEXT


class SocketIOClient(Client):
    """A viewer of a Socket.IO server."""

    def path(self) -> str:
        """Return where the WebSocket is."""
        return f"/socket.io/?EIO=4&transport=websocket&token={self.token}"

    async def greet(self) -> None:
        """Return when the namespace is connected."""
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._name = ""
        self.socket.send(b"40", TEXT)
        await self.socket.until(self._connected)

    def emit(self, name: str, payload: object) -> None:
        """Send a signal."""
        self.socket.send(b"42" + json.dumps([name, payload], separators=(",", ":")).encode(), TEXT)

    @staticmethod
    def decoded(data: bytes) -> Any:
        """Return name and payload of an event."""
        return json.loads(data[2:])

    def receive(self, kind: int, data: bytes) -> None:
        """Take a packet."""
        if kind != TEXT:
            self.take(self._name, data)
        elif data.startswith(b"42"):
            name, payload = self.decode(data)
            self.take(name, payload)
        elif data.startswith(b"451-"):
            # The payload is the next message: no case sends more than one.
            self._name = json.loads(data[4:])[0]
        elif data.startswith(b"40"):
            self._connected.set_result(None)
        elif data == b"2":
            self.socket.send(b"3", TEXT)
