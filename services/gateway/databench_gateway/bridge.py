"""One browser connection: relays frames between its WebSocket and the runner that owns the analysis.

Owns the frames that wait for the socket. Payloads pass undecoded; what a browser sends is checked down to the
envelope, so that nobody behind the gateway has to bear with garbage. No frame wakes a task: what arrives is relayed
by the call that brings it.
"""

import asyncio
import logging
from asyncio import FIRST_COMPLETED
from collections import deque
from collections.abc import Awaitable, Callable

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import FROM_BROWSER, Attach, Closed, Message, Opened, Relayed
from databench_gateway.websocket import WebSocket

log = logging.getLogger(__name__)

ATTACH_PATIENCE = 10.0
"""Seconds a browser has for its first message."""
WRITE_PATIENCE = 20.0
"""Seconds that a page has to read what holds up the rest, and one more for each `SLOWEST` bytes of it."""
SLOWEST = 50_000
FRAME_LIMIT = 64_000
"""Frames that wait for the socket are joined up to this size, in bytes."""
BACKLOG = 16 * 2**20
"""Bytes that may wait for a socket: four windows. A single larger frame may wait alone."""
DONE = 1000
"""Close code of a page that will not come back; one that is left or loaded again closes with 1001."""

Relay = Callable[[bytes, bytes], None]
"""Sends an envelope, encoded, and a body to the runner of this analysis; only that of `closed` is empty."""
Find = Callable[[Attach], Awaitable[Relay]]
"""Finds the runner that a page belongs to; raises ConnectionEndError when there is none."""


class ConnectionEndError(Exception):
    """Ends the connection with a close code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


UNREAD = ConnectionEndError(4008, "the page does not read what it is sent")


class Bridge:
    """A viewer: its WebSocket, whose listener this is, and the frames on their way to it."""

    __slots__ = (
        "_attached",
        "_closing",
        "_early",
        "_ended",
        "_envelope",
        "_gateway",
        "_gathering",
        "_loop",
        "_outbox",
        "_patience",
        "_relay",
        "_socket",
        "_waiting",
        "analysis",
        "viewer",
    )

    def __init__(self, socket: WebSocket, viewer: str, gateway: str, analysis: str) -> None:
        self.viewer = viewer
        self.analysis = analysis
        self._socket = socket
        self._gateway = gateway
        self._envelope = codec.encode(Relayed(gateway, viewer))
        self._loop = asyncio.get_running_loop()
        self._attached: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[bool] = self._loop.create_future()
        """Whether the page said at its end that it is done."""
        self._relay: Relay | None = None
        self._early: list[bytes] = []
        """The attach message, and what came behind it before the runner was found: one read of the socket at most."""
        self._outbox: deque[bytes] = deque()
        self._waiting = 0
        self._gathering = False
        self._closing: ConnectionEndError | None = None
        self._patience: asyncio.TimerHandle | None = None
        """While the page has to read before anything else is sent."""

    # From the runner

    def deliver(self, frame: bytes) -> None:
        """Take a frame for the browser; one that does not read is closed once its backlog is full."""
        if self._closing is not None:
            return
        if self._waiting and self._waiting + len(frame) > BACKLOG:
            self._end(UNREAD)
            return
        if self._gathering or self._outbox or not self._socket.writable:
            self._outbox.append(frame)
            self._waiting += len(frame)
        else:
            self._socket.send(frame)
            self._gather()

    def close(self, code: int, reason: str) -> None:
        """End the connection after what waits now."""
        if self._closing is None:
            self._closing = ConnectionEndError(code, reason)
            self._gather()

    # The connection

    async def run(self, find: Find) -> None:
        """Relay until either side is gone."""
        relay, done = None, False
        try:
            relay = await self._join(find)
            self._begin(relay)
            done = await self._ended
        except ConnectionEndError as error:
            self._end(error)
        finally:
            if relay is not None:
                relay(codec.encode(Closed(self._gateway, self.viewer, done)), b"")

    async def _join(self, find: Find) -> Relay:
        """Wait until the page attaches, and let its runner know."""
        await asyncio.wait((self._attached, self._ended), timeout=ATTACH_PATIENCE, return_when=FIRST_COMPLETED)
        if self._ended.done():
            raise ConnectionEndError(1006, "the page was gone before it attached")
        if not self._attached.done():
            # No fault of the page, perhaps: its first word may be held up on the way.
            raise ConnectionEndError(4008, f"no attach message within {ATTACH_PATIENCE:g} s")
        # It may be large, and is kept no longer than here.
        frame = self._early.pop(0)
        attach = codec.decode_one(frame, FROM_BROWSER)
        assert isinstance(attach, Attach)
        relay = await find(attach)
        relay(codec.encode(Opened(self._gateway, self.viewer, self.analysis)), frame)
        return relay

    def _begin(self, relay: Relay) -> None:
        for frame in self._early:
            relay(self._envelope, frame)
        self._early.clear()
        self._relay = relay
        self._socket.resume_reading()

    # From the page

    def received(self, message: bytes | None) -> None:
        """Relay what the browser sends."""
        if self._ended.done():
            return
        try:
            if message is None:
                raise ConnectionEndError(1003, "only binary messages are understood")
            self._take(message, codec.decode(message, FROM_BROWSER))
        except RemoteProtocolError as error:
            self._end(ConnectionEndError(error.close_code, str(error)))
        except ConnectionEndError as error:
            self._end(error)

    def _take(self, frame: bytes, messages: list[Message]) -> None:
        attaching = any(isinstance(message, Attach) for message in messages)
        if not self._attached.done():
            if len(messages) != 1 or not isinstance(messages[0], Attach):
                raise ConnectionEndError(4000, "the first message is not attach")
            self._early.append(frame)
            self._attached.set_result(None)
            self._socket.pause_reading()
        elif attaching:
            raise ConnectionEndError(4000, "attach came twice")
        elif self._relay is None:
            self._early.append(frame)
        else:
            self._relay(self._envelope, frame)

    def lost(self, code: int) -> None:
        """The page is gone."""
        self._finish(done=code == DONE)

    # To the page

    def paused(self, size: int) -> None:
        """The page has to read first, and not at its leisure: the system would hold such a connection for ever."""
        if self._patience is None:
            self._patience = self._loop.call_later(WRITE_PATIENCE + size / SLOWEST, self._end, UNREAD)

    def resumed(self) -> None:
        """The page has read."""
        self._calm()
        self._flush()

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _gather(self) -> None:
        # What else this turn of the loop brings travels together: one write costs more than many small frames.
        if not self._gathering:
            self._gathering = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._gathering = False
        while self._outbox and self._socket.writable:
            self._socket.send(self._next_frame())
        if self._closing is not None and not self._outbox:
            self._end(self._closing)

    def _next_frame(self) -> bytes:
        frame = self._outbox.popleft()
        self._waiting -= len(frame)
        if not self._outbox or len(frame) + len(self._outbox[0]) > FRAME_LIMIT:
            return frame
        parts, size = [frame], len(frame)
        while self._outbox and size + len(self._outbox[0]) <= FRAME_LIMIT:
            parts.append(self._outbox.popleft())
            size += len(parts[-1])
        self._waiting -= size - len(frame)
        return b"".join(parts)

    def _end(self, error: ConnectionEndError) -> None:
        if self._ended.done():
            return
        log.debug("viewer %s closed: %s %s", self.viewer, error.code, error.reason)
        self._socket.close(error.code, error.reason)
        self._finish(done=False)

    def _finish(self, *, done: bool) -> None:
        """Take and send nothing more."""
        self._calm()
        self._outbox.clear()
        self._early.clear()
        self._waiting = 0
        if self._closing is None:
            self._closing = ConnectionEndError(1006, "the page is gone")
        if not self._ended.done():
            self._ended.set_result(done)
