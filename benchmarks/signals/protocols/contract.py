"""What the cases need from a client of any protocol."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from benchmarks.signals.protocols.websocket import WebSocket


def _ignore(name: str, payload: Any) -> None:
    """What a client does with signals until a case says otherwise."""


class Client(ABC):
    """A viewer. `take` is called with each signal, decoded, in the order of arrival."""

    subprotocol = ""

    def __init__(self, port: int, token: str) -> None:
        self.take: Callable[[str, Any], None] = _ignore
        self.decode: Callable[[bytes], Any] = self.decoded
        """Decodes a WebSocket message; a case with many viewers puts one in place that remembers."""
        self.token = token
        self._port = port

    async def open(self) -> None:
        """Connect; a client that was connected before comes back as the same viewer, as far as its protocol can."""
        self.socket = await WebSocket.open(self._port, self.path(), self.subprotocol, self.receive)
        await self.greet()

    def drop(self) -> None:
        """Lose the connection without a word, as when a cable is pulled."""
        self.socket.transport.abort()

    def stop_reading(self) -> None:
        """Leave everything in the socket from now on."""
        self.socket.transport.pause_reading()

    @abstractmethod
    def path(self) -> str:
        """Return where the WebSocket is."""

    async def greet(self) -> None:  # noqa: B027 - not every protocol has a greeting
        """Do what the protocol wants before the first signal."""

    @abstractmethod
    def emit(self, name: str, payload: object) -> None:
        """Send a signal."""

    @staticmethod
    @abstractmethod
    def decoded(data: bytes) -> Any:
        """Return what `receive` looks at, payloads decoded too."""

    @abstractmethod
    def receive(self, kind: int, data: bytes) -> None:
        """Take a WebSocket message."""
