"""The protocol of docs/protocol.md, as the browser's client speaks it: numbers checked, an ack for each frame."""

import asyncio

import msgpack

from benchmarks.signals.protocols.contract import Client


class DatabenchClient(Client):
    """A viewer of an analysis."""

    subprotocol = "databench.1"

    def path(self) -> str:
        """Return where the WebSocket is."""
        return "/ws/load"

    async def greet(self) -> None:
        """Attach: to the session that this client had before, if it had one."""
        if not hasattr(self, "_attached"):
            self._seen, self._sent = 0, 0
            self._session: str | None = None
        self._attached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.socket.send(msgpack.packb(["attach", self._session, self._seen]))
        await self.socket.until(self._attached)

    def emit(self, name: str, payload: object) -> None:
        """Send a signal."""
        self._sent += 1
        self.socket.send(msgpack.packb(["signal", self._sent, name, msgpack.packb(payload)]))

    def receive(self, kind: int, data: bytes) -> None:
        """Take a frame of messages."""
        messages = msgpack.Unpacker(max_buffer_size=0)
        messages.feed(data)
        before = self._seen
        for message in messages:
            match message[0]:
                case "signal":
                    if message[1] != self._seen + 1:
                        raise ValueError(f"signal {message[1]} came after {self._seen}")
                    self._seen += 1
                    self.take(message[2], msgpack.unpackb(message[3]))
                case "attached":
                    if self._session is not None and not message[2]:
                        raise ValueError("the session was not resumed")
                    self._session = message[1]
                    self._attached.set_result(None)
                case "gap":
                    self._seen = message[1]
        if self._seen > before:
            self.socket.send(msgpack.packb(["ack", self._seen]))
