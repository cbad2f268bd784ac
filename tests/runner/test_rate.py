"""The runner answers a browser that sends too many signals, and goes on."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from databench.analysis import registered, withdraw
from databench.config import Settings
from databench.wire import codec, topics
from databench.wire.messages import TO_BROWSER, Attach, Opened, Relayed, Signal
from databench_runner.runner import Runner

ECHO = """
import databench

echo = databench.Analysis("rate-echo", __name__)

@echo.signals.on("echo")
async def on_echo(number):
    await echo.signals.emit("echo", number)
"""


class Bus:
    """A bus that only notes what is sent to the gateway."""

    up = True

    def __init__(self) -> None:
        self.signals: list[tuple[str, object]] = []
        self.closed: list[Sequence[bytes]] = []
        self._changed = asyncio.Event()

    async def joined(self) -> None: ...

    def publish(self, topic: bytes, *frames: bytes) -> None:
        if len(frames) > 2:
            self.closed.append(frames)
            return
        for message in codec.decode(frames[1], TO_BROWSER):
            if isinstance(message, Signal):
                self.signals.append((message.name, codec.unpack(message.payload)))
        self._changed.set()

    def dispatch(self, envelope: bytes, payload: bytes = b"") -> None: ...

    async def close(self) -> None: ...

    async def until(self, name: str, count: int) -> list[object]:
        while len(found := [payload for each, payload in self.signals if each == name]) < count:
            self._changed.clear()
            await self._changed.wait()
        return found


@asynccontextmanager
async def running(folder: Path, rate: float) -> AsyncIterator[tuple[Runner, Bus]]:
    (folder / "rate_analyses").mkdir()
    (folder / "rate_analyses" / "rate_echo.py").write_text(ECHO)
    before = registered()
    runner, bus = Runner(Settings(analyses=folder / "rate_analyses", name="r", rate=rate)), Bus()
    await runner.start(bus)
    try:
        yield runner, bus
    finally:
        await runner.stop()
        for name in registered().keys() - before.keys():
            withdraw(registered()[name])


@pytest.fixture(autouse=True)
def import_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))


@pytest.mark.parametrize(("rate", "passing"), [(0.001, 1), (0.0, 50)])
async def test_signals_beyond_the_rate_are_answered_once_and_the_connection_stays(
    tmp_path: Path, rate: float, passing: int
) -> None:
    async with running(tmp_path, rate) as (runner, bus):
        topic = topics.of_runner("r")
        runner.signalled(topic, [codec.encode(Opened("g", "v", "rate-echo")), codec.encode(Attach(None, 0))])
        frame = b"".join(codec.encode(Signal(seq, "echo", codec.pack(seq))) for seq in range(1, 51))
        runner.signalled(topic, [codec.encode(Relayed("g", "v")), frame])
        assert await bus.until("echo", passing) == list(range(1, passing + 1))
        warnings = [payload for name, payload in bus.signals if name == "warn"]
        message = f"busy: more than {rate:g} signals a second, {50 - passing} were refused"
        assert warnings == [{"signal": "echo", "message": message}][: 50 - passing]
        assert bus.closed == []
