"""For tests of an analysis: a page without a browser, which speaks the protocol to a running gateway."""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.typing import Subprotocol

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import (
    SUBPROTOCOL,
    TO_BROWSER,
    Ack,
    Attach,
    Attached,
    Broadcasts,
    Ended,
    Gap,
    Message,
    Missed,
    Reload,
    Signal,
    Signals,
    StateChange,
)

ACK_EVERY = 100
"""Signals after which a page acknowledges, at the latest when it has nothing left to read."""

ATTACH_PATIENCE = 10.0
"""Seconds after which `attach` gives up, with TimeoutError."""

CLOSE_PATIENCE = 1.0
"""Seconds for which a page waits for the other end of a connection that is being closed, as `emit` may have to."""


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

    `token` joins or resumes a session, as the browser does with a share link or when it was loaded again; after
    `drop`, `attach` resumes it as the browser does after a lost connection.
    """

    def __init__(self, url: str, analysis: str, token: str | None = None, seen: int = 0) -> None:
        self.address = f"{url.replace('http', 'ws', 1).rstrip('/')}/ws/{analysis}"
        self.token = token
        self.seen = seen
        self.name = secrets.token_hex(8)
        """What the page is called, for the session: made when it is loaded."""
        self.heard = 0
        """The number of the last broadcast."""
        self.resumed = False
        self.missed = 0
        """Signals and broadcasts that were lost to this page, as the session told."""
        self.ended: str | None = None
        """Why the session is over, if it is."""
        self.reload_reason: str | None = None
        """Why the page was told to load again, if it was."""
        self.log: list[Received] = []
        """Everything received, in order."""
        self.known: dict[str, Any] = {}
        """State by its whole name, such as `state:pi`, `shared:pi` or `handling:run`."""
        self._sent = 0
        self._acked = seen
        self._told = self._told_acked = 0
        self._arrived: deque[Received] = deque()
        self._socket: ClientConnection | None = None

    @property
    def state(self) -> dict[str, Any]:
        """The state of the session, by key."""
        return {name[6:]: value for name, value in self.known.items() if name.startswith("state:")}

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
        # To close what is closed fails where something was still to be sent when the other side closed it.
        if self._socket is not None and self._socket.state is not State.CLOSED:
            await self._socket.close()

    async def attach(self) -> None:
        """Connect and attach; a page that has a token asks for its session."""
        self._socket = await connect(
            self.address,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            max_size=None,
            compression=None,
            close_timeout=CLOSE_PATIENCE,
        )
        self._told = self._told_acked = 0
        async with asyncio.timeout(ATTACH_PATIENCE):
            await self._socket.send(codec.encode(Attach(self.token, self.name, self.seen, self.heard)))
            while not await self._advance():
                pass

    async def leave(self) -> None:
        """Go away as a page that is closed or loaded again: the session waits for it."""
        await self.socket.close(1001)

    def drop(self) -> None:
        """Lose the connection without a word, as when a cable is pulled."""
        self.socket.transport.abort()
        self._socket = None

    async def emit(self, name: str, payload: object = None) -> None:
        """Send a signal to the analysis. Raises ConnectionClosed where the connection ended or is about to."""
        self._sent += 1
        await self.socket.send(codec.encode(Signal(self._sent, name, codec.pack(payload))))

    async def set(self, key: str, value: object) -> None:
        """Ask for a value of the session's state."""
        await self.emit(f"state:{key}", value)

    async def until(self, condition: Callable[[], bool], within: float = 20.0) -> None:
        """Read on until a condition holds, such as one of `state`. Raises as `receive` does."""
        async with asyncio.timeout(within):
            while not condition():
                await self._advance()
                if self.seen - self._acked >= ACK_EVERY:
                    await self._acknowledge()

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
            if missing := self._missing(message):
                await self.socket.close(4003, f"{missing} is missing")
                break
            attached |= self._take(message)
        if self._told > self._told_acked:
            await self._acknowledge()
        return attached

    def _missing(self, message: Message) -> str:
        match message:
            case Signals(seq, _, _) if seq > self.seen + 1:
                return f"signal {self.seen + 1}"
            case Broadcasts(number, _, _) if self._told and number > self.heard + 1:
                return f"broadcast {self.heard + 1}"
        return ""

    async def _acknowledge(self) -> None:
        if self.seen > self._acked or self._told > self._told_acked:
            self._acked, self._told_acked = self.seen, self._told
            await self.socket.send(codec.encode(Ack(self.seen, self._told)))

    def _take(self, message: Message) -> bool:
        match message:
            case Attached(token, resumed, received, heard):
                if not resumed:
                    self.seen = self._acked = 0
                self.token, self.resumed, self._sent, self.heard = token, resumed, received, heard
                return True
            case Signals(seq, name, payloads):
                new = payloads[self.seen + 1 - seq :]
                self.seen += len(new)
                self._note(name, new)
            # Those that come before the attach is answered are not meant for this page yet.
            case Broadcasts(number, name, payloads) if self._told:
                new = payloads[self.heard + 1 - number :]
                self.heard += len(new)
                self._note(name, new)
            case StateChange(number, whole, changes):
                values, removed = codec.unpack(changes)
                self.known = values if whole else {**self.known, **values}
                for name in removed:
                    self.known.pop(name, None)
                self._told = number
            case Gap(seq, count):
                self.missed += count
                self.seen = seq
            case Missed(number, count):
                self.missed += count
                self.heard = number
            case Ended(reason):
                self.ended = reason
                self.token = None
            case Reload(reason):
                self.reload_reason = reason
        return False

    def _note(self, name: str, payloads: list[bytes]) -> None:
        signals = [Received(name, codec.unpack(payload)) for payload in payloads]
        self._arrived.extend(signals)
        self.log.extend(signals)
