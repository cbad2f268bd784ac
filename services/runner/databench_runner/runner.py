"""The runner: hosts the analyses, and brings what the bus delivers to their sessions.

Owns which viewer looks at which session. Sessions are made and ended in `hosting`; handlers, logs and
jobs live in `databench`; this module knows the bus and nothing of ZeroMQ.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from databench.bus.contract import Bus
from databench.config import Settings
from databench.engines.bus import BusEngine
from databench.engines.choice import Engines
from databench.errors import AnalysisError, ConfigError, RemoteProtocolError
from databench.loading import Loaded, load
from databench.wire import catalog, codec, topics
from databench.wire.catalog import Offer
from databench.wire.messages import (
    FROM_BROWSER,
    SIGNAL_PLANE,
    Ack,
    Attach,
    Closed,
    Message,
    Opened,
    Relayed,
    Signal,
    Who,
)
from databench.wire.roster import Member, Roster
from databench_runner.hosting import Hosted, Hosting

log = logging.getLogger(__name__)

EXPIRY_INTERVAL = 1.0
"""Seconds between two looks for gateways that are gone."""


REMEMBERED = 4_096
"""Envelopes that are known by their bytes, and their longest length: those of viewers, which come again and again."""
SHORT = 256


@dataclass(frozen=True, slots=True)
class Viewer:
    """A browser connection: the gateway that holds it and the session it looks at."""

    gateway: str
    hosted: Hosted
    topic: bytes
    """Where it is reached, and by which name."""
    name: bytes


@lru_cache(REMEMBERED)
def _remembered(envelope: bytes) -> Message:
    return codec.decode_one(envelope, SIGNAL_PLANE)


def _decoded(envelope: bytes) -> Message:
    return _remembered(envelope) if len(envelope) <= SHORT else codec.decode_one(envelope, SIGNAL_PLANE)


class Runner:
    """A service on the bus; see `databench.bus.service.Service`."""

    kind = "runner"

    def __init__(self, settings: Settings) -> None:
        self.name = settings.service_name(self.kind)
        self.topics: Sequence[bytes] = (topics.of_runner(self.name), topics.PRESENCE)
        self._settings = settings
        self._loaded = Loaded(catalog.EMPTY, {})
        self._viewers: dict[str, Viewer] = {}
        self._cut_off: dict[str, str] = {}
        """Viewers that are to connect anew, and their gateways: detached without a broker, or here before the start."""
        self._hosting = Hosting(settings, self._deliver, self._held_changed)
        self._engine: BusEngine | None = None
        self._engines: Engines | None = None
        self._gateways = Roster(["gateway"])
        self._expiring: asyncio.Task[None] | None = None

    # The service

    async def start(self, bus: Bus) -> None:
        """Import the analyses and join both planes."""
        self._bus = bus
        self._loaded = load(Path(self._settings.analyses))
        for fault in self._loaded.catalog.faults:
            log.error("%s was not loaded: %s\n%s", fault.module, fault.summary, fault.traceback)
        for name, analysis in self._loaded.analyses.items():
            analysis.broadcasts.open(partial(self._broadcast, name), self._settings.max_payload)
        self._engine = BusEngine(self.name, bus)
        self._engines = Engines(self._settings.engine, bus=self._engine)
        for name, analysis in self._loaded.analyses.items():
            # Now rather than when its first page comes: an engine may be long in the making, or not to be had.
            try:
                self._engines(analysis.engine)
            except AnalysisError as error:
                raise ConfigError(f"the analysis {name!r}: {error}") from None
        await self._engine.start()
        self._send_back("the runner has just started")
        self._expiring = asyncio.get_running_loop().create_task(self._expire_gateways())

    async def stop(self) -> None:
        """End all sessions. Their pages learn it from their gateways, which hear this runner leave."""
        hosted = self._hosting.all()
        for each in hosted:
            self._hosting.end(each, "")
        self._viewers.clear()
        for analysis in self._loaded.analyses.values():
            analysis.broadcasts.close()
        await asyncio.gather(*(each.handling.finished() for each in hosted))
        if self._expiring is not None:
            self._expiring.cancel()
            await asyncio.gather(self._expiring, return_exceptions=True)
        if self._engines is not None:
            await asyncio.to_thread(self._engines.close)
        if self._engine is not None:
            await self._engine.stop()

    def detail(self) -> bytes:
        """Return the offer."""
        return catalog.to_bytes(Offer(self._hosting.mark, self._hosting.held, self._loaded.catalog))

    def _held_changed(self) -> None:
        # Everybody answers, this runner too: gateways are to know at once where an analysis has its home.
        self._bus.publish(topics.WHO, codec.encode(Who()))

    # The bus

    def bus_up(self) -> None:
        """The broker is there: gateways that it never lost hold connections of viewers that were detached."""
        if self._engine is not None:
            self._send_back("the runner was cut off")
            self._engine.bus_up()

    def _send_back(self, reason: str) -> None:
        for viewer, gateway in self._cut_off.items():
            self._refuse(gateway, viewer, 1012, reason)
        self._cut_off.clear()

    def bus_down(self) -> None:
        """The broker is gone: viewers will attach again, and what is emitted meanwhile waits in the logs."""
        self._gateways = Roster(["gateway"])
        for viewer, place in list(self._viewers.items()):
            self._close(viewer, done=False)
            self._cut_off[viewer] = place.gateway
        if self._engine is not None:
            self._engine.bus_down()

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Take a message of the chunk plane."""
        if self._engine is not None:
            self._engine.dispatched(envelope, payload)

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        """Take a message of the signal plane."""
        try:
            message = _decoded(frames[0])
            match message:
                case Opened(gateway, viewer) | Relayed(gateway, viewer) if self._engines is None:
                    # Its gateway knew an earlier runner of this name. Nothing can be answered before the start.
                    self._cut_off[viewer] = gateway
                case Opened(gateway, viewer, analysis):
                    self._open(gateway, viewer, analysis, frames[1])
                case Relayed(gateway, viewer):
                    self._relay(gateway, viewer, frames[1])
                case Closed(_, viewer, done):
                    self._close(viewer, done=done)
                case _:
                    now = asyncio.get_running_loop().time()
                    self._lose_gateways(self._gateways.handle(message, now))
        except (RemoteProtocolError, IndexError) as error:
            log.warning("dropped a malformed message on %s: %s", topic.decode(errors="replace"), error)

    # Viewers and sessions

    def _open(self, gateway: str, viewer: str, analysis: str, body: bytes) -> None:
        attach = codec.decode_one(body, FROM_BROWSER)
        if not isinstance(attach, Attach):
            raise RemoteProtocolError("the first message of a viewer is not attach")
        assert self._engines is not None
        if analysis not in self._loaded.analyses:
            self._refuse(gateway, viewer, 4004, f"there is no analysis {analysis!r} here")
            return
        hosted = self._hosting.find(analysis, attach.token)
        resumed = hosted is not None
        if hosted is None:
            if self._hosting.full:
                self._refuse(gateway, viewer, 1013, "this server has all the sessions that it can hold")
                return
            hosted = self._hosting.begin(self._loaded.analyses[analysis], self._engines)
        for ghost in hosted.session.of_page(attach.page):
            # A page has one connection: an older one is dead, even where nobody has noticed yet.
            self._supersede(ghost)
        self._viewers[viewer] = Viewer(gateway, hosted, topics.of_gateway(gateway), viewer.encode())
        self._hosting.watched(hosted)
        try:
            self._attach(viewer, hosted, attach, resumed=resumed)
        except RemoteProtocolError as error:
            self._drop(gateway, viewer, error)
            return
        if not resumed:
            self._hosting.connected(hosted)

    def _attach(self, viewer: str, hosted: Hosted, attach: Attach, *, resumed: bool) -> None:
        heard = max(attach.heard if resumed else 0, hosted.heard)
        frames = hosted.analysis.broadcasts.catch_up(heard)
        seen = attach.seen if resumed else 0
        hosted.session.attach(viewer, attach.page, seen, resumed=resumed, heard=heard)
        for frame in frames:
            self._deliver(viewer, frame)

    def _supersede(self, viewer: str) -> None:
        place = self._viewers.pop(viewer)
        place.hosted.session.detach(viewer)
        self._refuse(place.gateway, viewer, 1000, "the page has attached again")

    def _relay(self, gateway: str, viewer: str, body: bytes) -> None:
        place = self._viewers.get(viewer)
        if place is None:
            self._refuse(gateway, viewer, 1012, "the session is not known here")
            return
        session = place.hosted.session
        try:
            for message in codec.decode(body, FROM_BROWSER):
                match message:
                    case Ack(seq, state):
                        session.acknowledge(viewer, seq, state)
                    case Signal() if session.accept(viewer, message):
                        self._handle(place.hosted, message)
                    case Attach():
                        raise RemoteProtocolError("attach came twice")
            if place.hosted.refused:
                self._tell_refused(place.hosted)
        except RemoteProtocolError as error:
            self._drop(gateway, viewer, error)

    def _handle(self, hosted: Hosted, signal: Signal) -> None:
        if not hosted.limit.take(asyncio.get_running_loop().time()):
            hosted.refused = signal.name
            return
        if signal.name in ("connect", "disconnect"):
            hosted.handling.refuse(signal.name, f"{signal.name!r} is what the session itself says")
        else:
            hosted.handling.arrive(signal.name, signal.payload)

    def _tell_refused(self, hosted: Hosted) -> None:
        if count := hosted.limit.tell(asyncio.get_running_loop().time()):
            rate = self._settings.rate
            hosted.handling.refuse(hosted.refused, f"busy: more than {rate:g} signals a second, {count} were refused")

    def _close(self, viewer: str, *, done: bool) -> None:
        self._cut_off.pop(viewer, None)
        place = self._viewers.pop(viewer, None)
        if place is None:
            return
        hosted = place.hosted
        hosted.session.detach(viewer)
        if hosted.session.viewers or hosted.session.ended.is_set():
            return
        if done:
            self._hosting.end(hosted, "the page was closed")
        else:
            self._hosting.left(hosted)

    def _drop(self, gateway: str, viewer: str, error: RemoteProtocolError) -> None:
        """Close a viewer that broke the protocol; it may come back and resume."""
        self._close(viewer, done=False)
        self._refuse(gateway, viewer, error.close_code, str(error))

    # Gateways

    def _deliver(self, viewer: str, frame: bytes) -> None:
        place = self._viewers.get(viewer)
        if place is not None:
            self._bus.publish(place.topic, place.name, frame)

    def _broadcast(self, analysis: str, frame: bytes) -> None:
        """Publish a frame once for each gateway that has a viewer of this analysis here."""
        gateways = {place.gateway for place in self._viewers.values() if place.hosted.analysis.name == analysis}
        for gateway in gateways:
            self._bus.publish(topics.of_gateway(gateway), b"", self.name.encode(), analysis.encode(), frame)

    def _refuse(self, gateway: str, viewer: str, code: int, reason: str) -> None:
        self._bus.publish(topics.of_gateway(gateway), viewer.encode(), str(code).encode(), reason.encode())

    def _lose_gateways(self, gone: Sequence[Member]) -> None:
        names = {member.name for member in gone}
        for viewer, place in list(self._viewers.items()):
            if place.gateway in names:
                self._close(viewer, done=False)

    async def _expire_gateways(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(EXPIRY_INTERVAL)
            if self._bus.up:
                self._lose_gateways(self._gateways.expire(loop.time()))
