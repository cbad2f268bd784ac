"""For tests of an analysis: a page without a browser, which speaks the protocol to a running gateway."""

import asyncio
from collections import deque
from types import TracebackType
from typing import Any, NamedTuple, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import SUBPROTOCOL, TO_BROWSER, Ack, Attach, Attached, Gap, Message, Reload, Signal

ACK_EVERY = 100
"""Signals after which a page acknowledges, at the latest when it has nothing left to read."""

ATTACH_PATIENCE = 10.0
"""Seconds after which `attach` gives up, with TimeoutError."""


class Received(NamedTuple):
    """A signal as the page got it."""

    name: str
    payload: Any


class Page:
    """A page of an analysis: attaches, emits, and receives signals in order.

    >>> async def test_it_converges():
    ...     async with Page("http://127.0.0.1:5000", "pi") as page:
    ...         await page.emit("run", {"draws": 1000})
    ...         status = await page.receive("status")

    `token` and `seen` resume a session after `drop`, as the browser does after a lost connection.
    """

    def __init__(self, url: str, analysis: str, token: str | None = None, seen: int = 0) -> None:
        self.address = f"{url.replace('http', 'ws', 1).rstrip('/')}/ws/{analysis}"
        self.token = token
        self.seen = seen
        self.resumed = False
        self.missed = 0
        """Signals that were lost to this page, as the session told."""
        self.reload_reason: str | None = None
        """Why the page was told to load again, if it was."""
        self.log: list[Received] = []
        """Everything received, in order."""
        self._sent = 0
        self._acked = seen
        self._arrived: deque[Received] = deque()
        self._socket: ClientConnection | None = None

    @property
    def socket(self) -> ClientConnection:
        """The connection, for tests that do what a page never would."""
        if self._socket is None:
            raise RuntimeError("the page is not attached: use `async with`")
        return self._socket

    async def __aenter__(self) -> Self:
        await self.attach()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            await self._socket.close()

    async def attach(self) -> None:
        """Connect and attach; a page that has a token asks for its session."""
        self._socket = await connect(
            self.address, subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=None, compression=None
        )
        async with asyncio.timeout(ATTACH_PATIENCE):
            await self._socket.send(codec.encode(Attach(self.token, self.seen)))
            while not await self._advance():
                pass

    def drop(self) -> None:
        """Lose the connection without a word, as when a cable is pulled."""
        self.socket.transport.abort()
        self._socket = None

    async def emit(self, name: str, payload: object = None) -> None:
        """Send a signal to the analysis."""
        self._sent += 1
        await self.socket.send(codec.encode(Signal(self._sent, name, codec.pack(payload))))

    async def receive(self, *names: str, within: float = 20.0) -> Received:
        """Return the next signal, of one of these names where some are given; others are only logged.

        Raises TimeoutError when none comes in time, ConnectionClosed when the connection ends.
        """
        async with asyncio.timeout(within):
            while True:
                while self._arrived:
                    signal = self._arrived.popleft()
                    if not names or signal.name in names:
                        return signal
                await self._advance()
                if self.seen - self._acked >= ACK_EVERY or not self._arrived:
                    await self._acknowledge()

    async def closed(self, within: float = 20.0) -> tuple[int, str]:
        """Wait until the gateway closes the connection; return the close code and the reason."""
        try:
            async with asyncio.timeout(within):
                while True:
                    await self._advance()
        except ConnectionClosed:
            return self.socket.close_code or 1006, self.socket.close_reason or ""

    async def reloaded(self, within: float = 20.0) -> str:
        """Wait until the page is told to load again; return why."""
        async with asyncio.timeout(within):
            while self.reload_reason is None:
                await self._advance()
        return self.reload_reason

    async def _advance(self) -> bool:
        """Take the next frame; return whether it says that the page is attached.

        A page that finds a number missing closes the connection, as the browser does.
        """
        frame = await self.socket.recv()
        if isinstance(frame, str):
            raise RemoteProtocolError("the gateway sent text")
        attached = False
        for message in codec.decode(frame, TO_BROWSER):
            if isinstance(message, Signal) and message.seq > self.seen + 1:
                await self.socket.close(4003, f"signal {self.seen + 1} is missing")
                break
            attached |= self._take(message)
        return attached

    async def _acknowledge(self) -> None:
        if self.seen > self._acked:
            self._acked = self.seen
            await self.socket.send(codec.encode(Ack(self.seen)))

    def _take(self, message: Message) -> bool:
        match message:
            case Attached(token, resumed, received):
                if not resumed:
                    self.seen = self._acked = 0
                self.token, self.resumed, self._sent = token, resumed, received
                return True
            case Signal(seq, name, payload) if seq == self.seen + 1:
                self.seen = seq
                received_signal = Received(name, codec.unpack(payload))
                self._arrived.append(received_signal)
                self.log.append(received_signal)
            case Gap(seq, count):
                self.missed += count
                self.seen = seq
            case Reload(reason):
                self.reload_reason = reason
        return False
