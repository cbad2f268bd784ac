"""One browser connection: relays frames between its WebSocket and the runner that owns the analysis.

Owns the socket and the frames that wait for it. Payloads pass undecoded; what a browser sends is checked
down to the envelope, so that nobody behind the gateway has to bear with garbage.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from starlette.websockets import WebSocket, WebSocketDisconnect

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import FROM_BROWSER, SUBPROTOCOL, Attach, Closed, Message, Opened, Relayed

log = logging.getLogger(__name__)

ATTACH_PATIENCE = 10.0
"""Seconds a browser has for its first message."""
WRITE_PATIENCE = 20.0
"""Seconds that a frame may wait for a page to read, and one more for each `SLOWEST` bytes of it."""
SLOWEST = 50_000
SHUT_PATIENCE = 2.0
"""Seconds in which a page has to take the close code."""
FRAME_LIMIT = 64_000
"""Frames that wait for the socket are joined up to this size, in bytes."""
BACKLOG = 16 * 2**20
"""Bytes that may wait for a socket: four windows. A single larger frame may wait alone."""
DONE = 1000
"""Close code of a page that will not come back; one that is left or loaded again closes with 1001."""

Relay = Callable[[Message, bytes], None]
"""Sends an envelope and a body to the runner of this analysis."""
Find = Callable[[Attach], Awaitable[Relay]]
"""Finds the runner that a page belongs to; raises ConnectionEndError when there is none."""


class ConnectionEndError(Exception):
    """Ends the connection with a close code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def acceptable(offered: Sequence[str]) -> str | None:
    """Return the subprotocol to accept a connection with: ours, or one of those offered to say that it is not spoken.

    A browser fails a connection whose subprotocol it did not offer, and never learns the close code.
    """
    return SUBPROTOCOL if SUBPROTOCOL in offered else next(iter(offered), None)


class Bridge:
    """A viewer: its WebSocket, and the frames on their way to it."""

    def __init__(self, socket: WebSocket, viewer: str, gateway: str, analysis: str) -> None:
        self.viewer = viewer
        self.analysis = analysis
        self._socket = socket
        self._gateway = gateway
        self._outbox: deque[bytes] = deque()
        self._waiting = 0
        self._ready = asyncio.Event()
        self._closing: ConnectionEndError | None = None
        self._patience: asyncio.Timeout | None = None
        """While a frame is being sent: how long that may take."""

    # From the runner

    def deliver(self, frame: bytes) -> None:
        """Take a frame for the browser; one that does not read is closed once its backlog is full."""
        if self._closing is not None:
            return
        if self._waiting and self._waiting + len(frame) > BACKLOG:
            self.close(4008, "the page does not read what it is sent")
            if self._patience is not None:
                # It would not read what waits now, either.
                self._patience.reschedule(asyncio.get_running_loop().time())
            return
        self._outbox.append(frame)
        self._waiting += len(frame)
        self._ready.set()

    def close(self, code: int, reason: str) -> None:
        """End the connection after what waits now."""
        if self._closing is None:
            self._closing = ConnectionEndError(code, reason)
            self._ready.set()

    # The connection

    async def run(self, find: Find) -> None:
        """Relay until either side is gone."""
        done = False
        relay: Relay | None = None
        try:
            attach, frame = await self._attach()
            relay = await find(attach)
            relay(Opened(self._gateway, self.viewer, self.analysis), frame)
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(self._write())
                try:
                    done = await self._read(relay)
                finally:
                    writing.cancel()
        except* ConnectionEndError as group:
            error = group.exceptions[0]
            assert isinstance(error, ConnectionEndError)
            await self._shut(error)
        except* WebSocketDisconnect:
            log.debug("viewer %s was gone before it attached", self.viewer)
        finally:
            if relay is not None:
                relay(Closed(self._gateway, self.viewer, done), b"")

    async def _attach(self) -> tuple[Attach, bytes]:
        offered = self._socket.scope.get("subprotocols", [])
        await self._socket.accept(acceptable(offered))
        if SUBPROTOCOL not in offered:
            spoken = ", ".join(offered)[:60] or "nothing"
            raise ConnectionEndError(4001, f"this server speaks {SUBPROTOCOL}, the page {spoken}: load it again")
        try:
            async with asyncio.timeout(ATTACH_PATIENCE):
                frame = await self._receive()
        except TimeoutError:
            # No fault of the page, perhaps: its first word may be held up on the way.
            raise ConnectionEndError(4008, f"no attach message within {ATTACH_PATIENCE:g} s") from None
        messages = self._checked(frame)
        if len(messages) != 1 or not isinstance(messages[0], Attach):
            raise ConnectionEndError(4000, "the first message is not attach")
        return messages[0], frame

    async def _read(self, relay: Relay) -> bool:
        """Relay what the browser sends; return whether it said at its end that it is done."""
        envelope = Relayed(self._gateway, self.viewer)
        while True:
            try:
                frame = await self._receive()
            except WebSocketDisconnect as gone:
                return gone.code == DONE
            if any(isinstance(message, Attach) for message in self._checked(frame)):
                raise ConnectionEndError(4000, "attach came twice")
            relay(envelope, frame)

    async def _receive(self) -> bytes:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        frame: bytes | None = message.get("bytes")
        if frame is None:
            raise ConnectionEndError(1003, "only binary messages are understood")
        return frame

    def _checked(self, frame: bytes) -> list[Message]:
        try:
            return codec.decode(frame, FROM_BROWSER)
        except RemoteProtocolError as error:
            raise ConnectionEndError(error.close_code, str(error)) from None

    async def _write(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._outbox:
                frame = self._next_frame()
                try:
                    async with asyncio.timeout(WRITE_PATIENCE + len(frame) / SLOWEST) as self._patience:
                        await self._socket.send_bytes(frame)
                    self._patience = None
                except TimeoutError:
                    # Neither the system nor a ping ends a connection whose other side takes nothing.
                    raise ConnectionEndError(4008, "the page does not read what it is sent") from None
                except (WebSocketDisconnect, RuntimeError):
                    # The page went away meanwhile; how, the reading side learns.
                    return
                self._waiting -= len(frame)
            if self._closing is not None:
                raise self._closing

    def _next_frame(self) -> bytes:
        frame = self._outbox.popleft()
        if not self._outbox or len(frame) + len(self._outbox[0]) > FRAME_LIMIT:
            return frame
        parts, size = [frame], len(frame)
        while self._outbox and size + len(self._outbox[0]) <= FRAME_LIMIT:
            parts.append(self._outbox.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    async def _shut(self, closing: ConnectionEndError) -> None:
        log.debug("viewer %s closed: %s %s", self.viewer, closing.code, closing.reason)
        # A close frame holds 125 bytes, two of them the code.
        reason = closing.reason.encode()[:120].decode(errors="ignore")
        try:
            async with asyncio.timeout(SHUT_PATIENCE):
                await self._socket.close(closing.code, reason)
        except (RuntimeError, WebSocketDisconnect, TimeoutError):
            log.debug("viewer %s was gone already, or does not read", self.viewer)
