"""What tests of the author's API share: analyses that are forgotten again, and a page that notes what it gets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import databench
from databench.analysis import withdraw
from databench.engines.local import LocalEngine
from databench.handling import Handling
from databench.jobs import JobScope
from databench.session import Session
from databench.wire import codec
from databench.wire.messages import Accepted, Attached, Ended, Gap, Message, Signals, StateChange
from tests.runs import decoded


class Collector:
    """An emitter that only notes."""

    def __init__(self) -> None:
        self.emitted: list[tuple[str, object]] = []

    async def emit(self, signal: str, payload: object = None) -> None:
        self.emitted.append((signal, payload))


class Pages:
    """All viewers of a session: notes what is delivered, and acknowledges only when told to."""

    def __init__(self) -> None:
        self.messages: dict[str, list[Message]] = {}
        self._changed = asyncio.Event()

    def deliver(self, viewer: str, frame: bytes) -> None:
        self.messages.setdefault(viewer, []).extend(decoded(frame))
        self._changed.set()

    def signals(self, viewer: str = "v") -> list[tuple[str, object]]:
        return [
            (message.name, codec.unpack(message.payloads[0]))
            for message in self.messages.get(viewer, [])
            if isinstance(message, Signals)
        ]

    def named(self, name: str, viewer: str = "v") -> list[object]:
        return [payload for signal, payload in self.signals(viewer) if signal == name]

    def last(self, viewer: str = "v") -> int:
        return max((m.seq for m in self.messages.get(viewer, []) if isinstance(m, Signals)), default=0)

    def others(self, viewer: str = "v") -> list[Message]:
        return [m for m in self.messages.get(viewer, []) if isinstance(m, Attached | Accepted | Gap | Ended)]

    def told(self, viewer: str = "v") -> int:
        return max((m.number for m in self.messages.get(viewer, []) if isinstance(m, StateChange)), default=0)

    def known(self, viewer: str = "v") -> dict[str, object]:
        """The state as the viewer has it."""
        known: dict[str, object] = {}
        for message in self.messages.get(viewer, []):
            if isinstance(message, StateChange):
                values, removed = codec.unpack(message.changes)
                known = {} if message.whole else known
                known = {name: value for name, value in (known | values).items() if name not in removed}
        return known

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    async def get(self, name: str, count: int = 1, viewer: str = "v") -> list[object]:
        await self.until(lambda: len(self.named(name, viewer)) >= count)
        return self.named(name, viewer)

    def acknowledge(self, session: Session, viewer: str = "v") -> None:
        session.acknowledge(viewer, self.last(viewer), self.told(viewer))


@contextmanager
def declared(name: str) -> Iterator[databench.Analysis]:
    """An analysis for one test."""
    analysis = databench.Analysis(name, __name__)
    yield analysis
    withdraw(analysis)


class Live:
    """A session with its handlers and a page that looks at it."""

    def __init__(self, analysis: databench.Analysis, *, development: bool = False) -> None:
        self.pages = Pages()
        self.session = Session(analysis.name, "token", self.pages.deliver, shared=analysis.state)
        engine = LocalEngine()
        self.handling = Handling(
            analysis, self.session, lambda check, report: JobScope(engine, check, progress=report), development
        )
        self.session.attach("v", "page", 0, resumed=False)

    def send(self, signal: str, payload: object = None) -> None:
        self.handling.arrive(signal, codec.pack(payload))

    async def get(self, name: str, count: int = 1) -> list[object]:
        return await self.pages.get(name, count)

    async def warning(self) -> tuple[object, str]:
        warning = (await self.get("warn"))[-1]
        assert isinstance(warning, dict)
        return warning["signal"], warning["message"]

    async def idle(self) -> None:
        """Return when no plain handler runs, and the session knows."""
        async with asyncio.timeout(10):
            while self.handling.threads.used:  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.001)

    def end(self) -> None:
        self.session.end("over")
        self.handling.end()


@asynccontextmanager
async def living(analysis: databench.Analysis) -> AsyncIterator[Live]:
    """A live session, which leaves neither task nor thread behind."""
    live = Live(analysis)
    yield live
    if not live.session.ended.is_set():
        live.end()
    async with asyncio.timeout(10):  # pytest's own time limit does not reach past a test that it ended.
        await live.handling.finished()
    await live.idle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
