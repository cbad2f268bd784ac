"""The time of an event loop, which passes when the test says so."""

import asyncio


class Clock:
    """Stands still until it is moved on; in the end it goes on from there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._real = loop.time
        self._ahead = 0.0
        self._stands_at: float | None = loop.time()
        loop.time = self  # type: ignore[method-assign]

    def __call__(self) -> float:
        return self._real() + self._ahead if self._stands_at is None else self._stands_at

    async def advance(self, seconds: float) -> None:
        """Let time pass; return when what was due then is done."""
        assert self._stands_at is not None
        self._stands_at += seconds
        for _ in range(3):
            await asyncio.sleep(0)

    def go_on(self) -> None:
        """Let time pass by itself."""
        if self._stands_at is not None:
            self._ahead = self._stands_at - self._real()
            self._stands_at = None
