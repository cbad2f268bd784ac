"""The protocol of docs/protocol.md, as the browser's client speaks it: every number checked, the same acknowledgements.

What client-js/src/attachment.ts and owed.ts do, without what no case needs: the outbox of unaccepted signals.
"""

import asyncio
from typing import Any

import msgpack

from benchmarks.signals.protocols.contract import Client

ACK_SIGNALS, ACK_BYTES, ACK_SECONDS = 1_024, 2**20, 0.05
"""Signals, bytes, and seconds after a signal, when an acknowledgement is due: `LIMITS` of client-js/src/protocol.ts."""


class DatabenchClient(Client):
    """A viewer of an analysis."""

    subprotocol = "databench.1"
    _session: str | None = None
    _seen = _heard = _stated = _sent = 0
    _owed = _owed_bytes = 0
    _due: asyncio.TimerHandle | None = None

    def path(self) -> str:
        """Return where the WebSocket is."""
        return "/ws/load"

    async def greet(self) -> None:
        """Attach: to the session that this client had before, if it had one."""
        self._attached: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stated = 0
        self._settle()
        self.socket.send(msgpack.packb(["attach", self._session, self.token, self._seen, self._heard]))
        await self.socket.until(self._attached)

    def emit(self, name: str, payload: object) -> None:
        """Send a signal."""
        self._sent += 1
        self.socket.send(msgpack.packb(["signal", self._sent, name, msgpack.packb(payload)]))

    @staticmethod
    def decoded(data: bytes) -> Any:
        """Return the messages of a frame; those with signals have the size of their payloads at their end."""
        unpacker = msgpack.Unpacker(max_buffer_size=0)
        unpacker.feed(data)
        messages = list(unpacker)
        for message in messages:
            if message[0] in ("signals", "broadcasts"):
                payloads = message[3]
                message[3] = [msgpack.unpackb(payload) for payload in payloads]
                message.append(sum(map(len, payloads)))
        return messages

    def receive(self, kind: int, data: bytes) -> None:
        """Take a frame of messages."""
        state = False
        for message in self.decode(data):
            match message[0]:
                case "signals":
                    if message[1] != self._seen + 1:
                        raise ValueError(f"signal {message[1]} came after {self._seen}")
                    self._seen += len(message[3])
                    self._take_all(message[2], message[3])
                    self._owe(len(message[3]), message[4])
                case "broadcasts" if not self._attached.done():
                    pass
                case "broadcasts":
                    if message[1] != self._heard + 1:
                        raise ValueError(f"broadcast {message[1]} came after {self._heard}")
                    self._heard += len(message[3])
                    self._take_all(message[2], message[3])
                case "state":
                    if message[1] != self._stated + 1:
                        raise ValueError(f"state {message[1]} came after {self._stated}")
                    self._stated += 1
                    state = True
                case other:
                    self._follow(other, *message[1:])
        if state:
            self._acknowledge()

    def _take_all(self, name: str, payloads: list[Any]) -> None:
        for payload in payloads:
            self.take(name, payload)

    def _follow(self, tag: str, *fields: Any) -> None:
        match tag:
            case "attached":
                token, resumed, _, heard = fields
                if self._session is not None and not resumed:
                    raise ValueError("the session was not resumed")
                self._session, self._heard = token, heard
                self._attached.set_result(None)
            case "gap":
                self._seen = fields[0]
                self._owe(1, 0)
            case "missed":
                self._heard = fields[0]
            case "ended" | "reload":
                raise ValueError(f"{tag}: {fields[0]}")

    def _owe(self, count: int, size: int) -> None:
        self._owed += count
        self._owed_bytes += size
        if self._owed >= ACK_SIGNALS or self._owed_bytes >= ACK_BYTES:
            self._acknowledge()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(ACK_SECONDS, self._acknowledge)

    def _acknowledge(self) -> None:
        self._settle()
        self.socket.send(msgpack.packb(["ack", self._seen, self._stated]))

    def _settle(self) -> None:
        self._owed = self._owed_bytes = 0
        if self._due is not None:
            self._due.cancel()
            self._due = None
