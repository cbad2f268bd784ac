"""A runner without processes: a bus that notes what is sent to gateways, and a folder with one analysis."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from databench.analysis import registered, withdraw
from databench.config import Settings
from databench.wire import codec, topics
from databench.wire.messages import Attach, Attached, Broadcasts, Closed, Message, Opened, Relayed, Signal, Signals
from databench_runner.runner import Runner
from tests.runs import decoded

SOURCE = """
import asyncio
import databench

echo = databench.Analysis("runner-echo", __name__)
brief = databench.Analysis("runner-brief", __name__, grace=0)
ended = []

@echo.signals.on("echo")
async def on_echo(number):
    await echo.signals.emit("echo", number)

@echo.signals.on("shout")
async def on_shout(text):
    echo.broadcast("heard", text)

@echo.signals.on("disconnect")
async def on_disconnect():
    ended.append(True)

@echo.signals.on("ended")
async def on_ended():
    await echo.signals.emit("ended", len(ended))

@echo.signals.on("wait")
async def on_wait():
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        ended.append("wait")
        raise
"""


class Bus:
    """A bus that only notes what is sent to gateways."""

    up = True

    def __init__(self) -> None:
        self.sent: dict[str, list[Message]] = {}
        """By viewer, the messages for it."""
        self.closed: dict[str, tuple[int, str]] = {}
        self.fanned: list[tuple[bytes, str, list[Message]]] = []
        """Broadcasts: the topic, the analysis, the messages."""
        self.asked = 0
        """How often everybody was asked to be present."""
        self._changed = asyncio.Event()

    async def joined(self) -> None: ...

    def publish(self, topic: bytes, *frames: bytes) -> None:
        match frames:
            case [_]:
                self.asked += topic == topics.WHO
            case [viewer, body]:
                self.sent.setdefault(viewer.decode(), []).extend(decoded(body))
            case [viewer, code, reason]:
                self.closed[viewer.decode()] = (int(code), reason.decode())
            case [_, _, analysis, body]:
                self.fanned.append((topic, analysis.decode(), decoded(body)))
        self._changed.set()

    def dispatch(self, envelope: bytes, payload: bytes = b"") -> None: ...

    async def close(self) -> None: ...

    def signals(self, viewer: str) -> list[tuple[str, Any]]:
        return [(m.name, codec.unpack(m.payloads[0])) for m in self.sent.get(viewer, []) if isinstance(m, Signals)]

    def attached(self, viewer: str) -> Attached:
        message = self.sent[viewer][0]
        assert isinstance(message, Attached)
        return message

    async def until(self, viewer: str, name: str, count: int = 1) -> list[Any]:
        while len(found := [payload for each, payload in self.signals(viewer) if each == name]) < count:
            self._changed.clear()
            await self._changed.wait()
        return found


class Host:
    """A runner, and what gateways would send it."""

    def __init__(self, runner: Runner, bus: Bus) -> None:
        self.runner = runner
        self.bus = bus
        self._topic = topics.of_runner(runner.name)

    def say(self, envelope: Message, *messages: Message) -> None:
        frames = [codec.encode(envelope)] + ([codec.encode(*messages)] if messages else [])
        self.runner.signalled(self._topic, frames)

    def open(
        self,
        viewer: str,
        *,
        token: str | None = None,
        page: str = "page",
        seen: int = 0,
        heard: int = 0,
        gateway: str = "g",
        analysis: str = "runner-echo",
    ) -> Attached:
        self.say(Opened(gateway, viewer, analysis), Attach(token, page, seen, heard))
        return self.bus.attached(viewer)

    def relay(self, viewer: str, *messages: Message) -> None:
        self.say(Relayed("g", viewer), *messages)

    def emit(self, viewer: str, seq: int, name: str, payload: object = None) -> None:
        self.relay(viewer, Signal(seq, name, codec.pack(payload)))

    def close(self, viewer: str, *, done: bool) -> None:
        self.say(Closed("g", viewer, done))

    def heard(self, viewer: str) -> list[int]:
        return [m.number for m in self.bus.sent[viewer] if isinstance(m, Broadcasts)]


@asynccontextmanager
async def running(folder: Path, rate: float = 0.0, grace: float = 3600.0) -> AsyncIterator[Host]:
    (folder / "runner_analyses").mkdir()
    (folder / "runner_analyses" / "runner_echo.py").write_text(SOURCE)
    before = registered()
    settings = Settings(analyses=folder / "runner_analyses", name="r", rate=rate, grace=grace)
    host = Host(Runner(settings), Bus())
    await host.runner.start(host.bus)
    try:
        yield host
    finally:
        await host.runner.stop()
        for name in registered().keys() - before.keys():
            withdraw(registered()[name])


@pytest.fixture(autouse=True)
def import_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        patch.setattr(sys, "modules", dict(sys.modules))
        yield


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running(tmp_path) as host:
        yield host
