"""The gateway's end of a WebSocket: what arrives is a call, what leaves is a write, and no task stands in between.

uvicorn hands over the connection of whoever asks for a WebSocket, and `websockets` knows its bytes. Owns the handshake,
pings, pausing and the way a connection ends. Knows no message of ours, and not who listens.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Protocol, cast

from uvicorn.config import Config
from uvicorn.server import ServerState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol as Frames
from websockets.protocol import Side, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

log = logging.getLogger(__name__)

PING_INTERVAL = 20.0
"""Seconds between two looks for a sign of life; a ping that has none until the next look ends the connection."""
CLOSE_PATIENCE = 10.0
"""Seconds in which the other side has to take what was sent last, and the close code."""
READ = 256 * 2**10
"""Bytes taken from the system at once."""
REASON = 120
"""Bytes of a reason; a close frame holds 125, two of them the code."""


class Listener(Protocol):
    """Who uses a WebSocket. Calls are quick and raise nothing."""

    def received(self, message: bytes | None) -> None:
        """Take a binary message; None stands for a text."""

    def paused(self, size: int) -> None:
        """Learn that nothing leaves any more before the other side has read what waits, `size` bytes."""

    def resumed(self) -> None:
        """Learn that there is room again."""

    def lost(self, code: int) -> None:
        """Learn that the connection is over, unless `close` was called: the close code that the other side said, else
        1006; 1012 where the server stops."""


Connect = Callable[["WebSocket", Request], Coroutine[Any, Any, None] | None]
"""Takes a connection that was just accepted, and what it asked for. Closes it, or sets its `listener` and returns what
is to run for it."""


class WebSocket(asyncio.BufferedProtocol):
    """A connection. uvicorn makes it from what it knows by name, and the rest is to be filled in before."""

    _arriving: ClassVar[bytearray] = bytearray(READ)
    """Where the bytes of any connection arrive, to be taken before the next read. For a plain Protocol asyncio asks for
    so much memory at each read, which takes several times as long as reading."""

    __slots__ = (
        "_alive",
        "_config",
        "_connect",
        "_loop",
        "_over",
        "_parts",
        "_protocol",
        "_server",
        "_timer",
        "_transport",
        "listener",
        "subprotocol",
        "writable",
    )

    listener: Listener

    def __init__(
        self, spoken: str, connect: Connect, *, config: Config, server_state: ServerState, app_state: object
    ) -> None:
        self.subprotocol: str | None = spoken
        """What both sides speak; None where the other side did not offer it."""
        self.writable = True
        """Whether what is sent leaves at once."""
        self._connect = connect
        self._config = config
        self._server = server_state
        self._loop = asyncio.get_running_loop()
        self._protocol: Frames | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._alive = self._over = True
        """Whether something came since the last look; whether nobody is told any more."""
        self._parts: bytearray | None = None
        """What came of a binary message that has several frames."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)
        self._server.connections.add(cast(Any, self))

    def data_received(self, request: bytes) -> None:
        """Answer the request, which uvicorn hands over as a whole; everything else comes by the buffer."""

        def select(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
            # One that is not spoken, too: a browser fails a connection without any of those that it offered, and
            # never learns the close code.
            return next((each for each in offered if each == self.subprotocol), next(iter(offered), None))

        handshake = ServerProtocol(select_subprotocol=select)
        handshake.receive_data(request)
        for asked in handshake.events_received():
            assert isinstance(asked, Request)
            handshake.send_response(handshake.accept(asked))
            self._write(handshake)
            if handshake.state is State.OPEN:
                if handshake.subprotocol != self.subprotocol:
                    self.subprotocol = None
                self._open(asked)
        self._write(handshake)

    def _open(self, asked: Request) -> None:
        # Not the handshake's protocol, which would keep the request as long as the connection lasts.
        self._protocol = Frames(Side.SERVER, max_size=self._config.ws_max_size)
        self._over = False
        self._timer = self._loop.call_later(PING_INTERVAL, self._look)
        if (lasting := self._connect(self, asked)) is not None:
            task = self._loop.create_task(lasting)
            self._server.tasks.add(task)
            task.add_done_callback(self._ran)

    def _ran(self, task: "asyncio.Task[None]") -> None:
        self._server.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection failed", exc_info=error)
            self.close(CloseCode.INTERNAL_ERROR, "the server failed")

    # What arrives

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return where the next bytes go."""
        return self._arriving

    def buffer_updated(self, nbytes: int) -> None:
        """Take so many bytes."""
        protocol = self._protocol
        if protocol is None:
            return
        self._alive = True
        protocol.receive_data(self._arriving[:nbytes])
        for event in protocol.events_received():
            self._take(cast(Frame, event))
        self._write(protocol)
        if protocol.state is not State.OPEN and not self._over:
            self._lose(CloseCode.ABNORMAL_CLOSURE if protocol.close_rcvd is None else protocol.close_rcvd.code)

    def _take(self, frame: Frame) -> None:
        if self._over:
            return
        match frame.opcode:
            case Opcode.BINARY if frame.fin:
                self.listener.received(bytes(frame.data))
            case Opcode.BINARY:
                self._parts = bytearray(frame.data)
            case Opcode.TEXT:
                self.listener.received(None)
            case Opcode.CONT if self._parts is not None:
                self._parts += frame.data
                if frame.fin:
                    message, self._parts = bytes(self._parts), None
                    self.listener.received(message)

    def pause_reading(self) -> None:
        """Leave what arrives where it is."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take it again."""
        self._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """Take notice that nothing comes and goes any more."""
        self._server.connections.discard(cast(Any, self))
        if not self._over:
            self._lose(CloseCode.ABNORMAL_CLOSURE)
        if self._timer is not None:
            self._timer.cancel()

    def _lose(self, code: int) -> None:
        self._wind_up()
        self.listener.lost(code)

    def _look(self) -> None:
        # Before a ping comes what waits, and for that the listener has its own patience.
        if self.writable:
            if not self._alive:
                log.debug("no sign of life: the connection is given up")
                self._transport.abort()
                return
            self._alive = False
            assert self._protocol is not None
            self._protocol.send_ping(b"")
            self._write(self._protocol)
        self._timer = self._loop.call_later(PING_INTERVAL, self._look)

    # What leaves

    def send(self, message: bytes) -> None:
        """Send a binary message; where the connection is not `writable` it waits, without a bound."""
        if not self._over:
            assert self._protocol is not None
            self._protocol.send_binary(message)
            self._write(self._protocol)

    def close(self, code: int, reason: str) -> None:
        """End the connection; the listener hears nothing more."""
        if self._over:
            return
        assert self._protocol is not None
        self._protocol.send_close(code, reason.encode()[:REASON].decode(errors="ignore"))
        self._write(self._protocol)
        self._wind_up()
        # What the other side says last comes there.
        self._transport.resume_reading()

    def shutdown(self) -> None:
        """End the connection because the server stops."""
        if not self._over:
            self.close(CloseCode.SERVICE_RESTART, "the gateway is being restarted")
            self.listener.lost(CloseCode.SERVICE_RESTART)

    def pause_writing(self) -> None:
        """Take notice that the transport holds much that the other side has not read."""
        self.writable = False
        if not self._over:
            self.listener.paused(self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Take notice that it has read most of it."""
        self.writable = True
        if not self._over:
            self.listener.resumed()

    def _write(self, protocol: Frames) -> None:
        for data in protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                # To close with something unread would reset the connection: who still sends would lose the close code.
                with suppress(OSError):  # the other side may have reset it
                    self._transport.write_eof()
            else:
                self._transport.close()

    def _wind_up(self) -> None:
        """Tell nobody anything any more, and let go at the latest when patience ends."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(CLOSE_PATIENCE, self._transport.abort)
