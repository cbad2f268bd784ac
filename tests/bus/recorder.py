"""A listener for tests: keeps what it hears, and lets a test wait for it."""

import asyncio
from collections.abc import Callable, Sequence


class Recorder:
    """Notes everything; `until` returns as soon as a condition holds."""

    def __init__(self) -> None:
        self.signals: list[tuple[bytes, list[bytes]]] = []
        self.chunks: list[tuple[bytes, bytes]] = []
        self.changes: list[str] = []
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        self.signals.append((topic, list(frames)))
        self._changed.set()

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        self.chunks.append((envelope, payload))
        self._changed.set()

    def bus_up(self) -> None:
        self.changes.append("up")
        self._changed.set()

    def bus_down(self) -> None:
        self.changes.append("down")
        self._changed.set()
