"""A page as the browser keeps it: it comes back by itself, and sends again what nobody has accepted."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.protocol import State

from databench.testing import Page, Received
from databench.wire import codec
from databench.wire.messages import Accepted, Attached, Message, Signal

FINAL = {1003, 1009, 4000, 4001, 4004, 4005}
"""Close codes after which the browser gives up."""
PAUSE = 0.02
"""Seconds between two attempts to connect."""


class Tab(Page):
    """A `Page` that survives what happens to its connection; fails where it loses its session, if that `lasts`."""

    def __init__(self, url: str, analysis: str, token: str | None = None, *, lasts: bool = True) -> None:
        super().__init__(url, analysis, token)
        self._lasts = lasts
        self.attached = 0
        """How often it attached."""
        self.begun = 0
        """How often that began a new session."""
        self._pending: deque[Signal] = deque()

    @property
    def shared(self) -> dict[str, Any]:
        """The state of all sessions of the analysis, by key."""
        return {name[7:]: value for name, value in self.known.items() if name.startswith("shared:")}

    def payloads(self, name: str) -> list[Any]:
        """Return what came with all signals of this name so far."""
        return [signal.payload for signal in self.log if signal.name == name]

    async def __aenter__(self) -> Self:
        await self.back()
        return self

    async def attach(self) -> None:
        """Attach, and send again what was not accepted."""
        await super().attach()
        if self._pending:
            await self.socket.send(codec.encode(*self._pending))
            self._sent = self._pending[-1].seq

    async def back(self) -> None:
        """Attach again, as often as it takes; fails where the browser gives up."""
        while True:
            assert self._socket is None or self._socket.close_code not in FINAL, self._socket.close_reason
            with suppress(OSError, WebSocketException):
                await self.attach()
                break
            await asyncio.sleep(PAUSE)
        assert self.begun <= 1 or not self._lasts, "its session was not found"

    async def emit(self, name: str, payload: object = None) -> None:
        """Send a signal, at the latest when the page is attached again."""
        self._pending.append(Signal(self._sent + 1, name, codec.pack(payload)))
        if self.socket.state is State.OPEN:
            with suppress(ConnectionClosed):
                await super().emit(name, payload)
        else:
            self._sent += 1

    async def receive(self, *names: str, within: float = 20.0) -> Received:
        """Return the next signal, coming back as often as needed."""
        while True:
            try:
                return await super().receive(*names, within=within)
            except ConnectionClosed:
                await self.back()

    async def until(self, condition: Callable[[], bool], within: float = 20.0) -> None:
        """Read on until a condition holds, coming back as often as needed."""
        while True:
            try:
                return await super().until(condition, within)
            except ConnectionClosed:
                await self.back()

    async def _acknowledge(self) -> None:
        # Sending on a connection that the gateway is closing would wait for its end, which is still to be read.
        if self.socket.state is State.OPEN:
            await super()._acknowledge()

    def _take(self, message: Message) -> bool:
        match message:
            case Attached(_, resumed, received, _):
                self.attached += 1
                self.begun += not resumed
                # What was meant for a session that is over is nothing to the next one.
                self._forget(received if resumed else self._sent)
            case Accepted(seq):
                self._forget(seq)
        return super()._take(message)

    def _forget(self, until: int) -> None:
        while self._pending and self._pending[0].seq <= until:
            self._pending.popleft()
