"""The gateway as a service: who is present, which runner owns an analysis, and which viewer is on which bridge.

Holds nothing that matters: what it knows it hears from the bus, and any viewer may come back through any
gateway. Pages are made in `pages`, HTTP is spoken in `app` and `server`.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence, Set

from databench.bus.contract import Bus
from databench.config import Settings
from databench.errors import RemoteProtocolError
from databench.wire import catalog, codec, topics
from databench.wire.catalog import Catalog
from databench.wire.messages import SIGNAL_PLANE, Leaving, Message, Present, Reload, Who
from databench.wire.roster import Roster, owner
from databench_gateway.bridge import Bridge

log = logging.getLogger(__name__)

EXPIRY_INTERVAL = 1.0
"""Seconds between two looks for runners that are gone."""
OWNER_PATIENCE = 5.0
"""Seconds that a viewer waits for a runner, as while one is restarted."""


class Gateway:
    """What the gateway knows of the others, and the bridges it holds."""

    kind = "gateway"

    def __init__(self, settings: Settings) -> None:
        # With a part of its own for every start: a runner drops the viewers of a gateway that is gone by its name.
        self.name = f"{settings.service_name(self.kind)}-{secrets.token_hex(3)}"
        self.topics: Sequence[bytes] = (topics.of_gateway(self.name), topics.PRESENCE)
        self.url = ""
        self.origins = frozenset(filter(None, settings.origins.replace(" ", "").split(",")))
        """Other sites whose pages may connect."""
        self._development = settings.development
        self._bus: Bus | None = None
        self._roster = Roster(["runner"])
        self._catalogs: dict[str, Catalog] = {}
        self._bridges: dict[str, tuple[Bridge, str]] = {}
        """By viewer: its bridge, and the runner that it speaks to."""
        self._departed: set[str] = set()
        """Development: runners that are gone while their viewers wait for them."""
        self._changed = asyncio.Event()
        self._expiring: asyncio.Task[None] | None = None

    # The service

    async def start(self, bus: Bus) -> None:
        """Ask who is there; a gateway without runners is ready to say so."""
        self._bus = bus
        bus.publish(topics.WHO, codec.encode(Who()))
        self._expiring = asyncio.get_running_loop().create_task(self._expire())

    async def stop(self) -> None:
        """Let the pages connect elsewhere."""
        for bridge, _ in self._bridges.values():
            bridge.close(1012, "the gateway is being restarted")
        if self._expiring is not None:
            self._expiring.cancel()
            await asyncio.gather(self._expiring, return_exceptions=True)

    def detail(self) -> bytes:
        """Return the URL at which pages are served."""
        return self.url.encode()

    def bus_up(self) -> None:
        """The broker is there: ask who is, too."""
        if self._bus is not None:
            self._bus.publish(topics.WHO, codec.encode(Who()))

    def bus_down(self) -> None:
        """The broker is gone: what is under way is lost, so viewers come back with the last number they saw.

        Nobody can be reached until heard again: a service may join the new broker later than this one.
        """
        self._roster = Roster(["runner"])
        for bridge, _ in self._bridges.values():
            bridge.close(1013, "the broker is gone; trying again")

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Nothing comes here: a gateway has no part in the chunk plane."""

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        """Take what a runner sends to a viewer, or the presence of a service."""
        if topic == topics.PRESENCE:
            self._hear(frames)
        elif len(frames) == 2 and (place := self._bridges.get(frames[0].decode())) is not None:
            place[0].deliver(frames[1])
        elif len(frames) == 3 and (place := self._bridges.get(frames[0].decode())) is not None:
            place[0].close(int(frames[1]), frames[2].decode())

    # Who is there

    def missing(self) -> list[str]:
        """Return what is missing for a page to work, in words; nothing when it would."""
        if self._bus is None or not self._bus.up:
            return ["broker"]
        return [] if self._roster.present("runner") else ["runner"]

    def catalog(self) -> Catalog:
        """Return what all runners offer together."""
        catalogs = [self._catalogs[member.name] for member in self._roster.present("runner")]
        entries = {entry.name: entry for each in catalogs for entry in each.entries}
        faults = {fault.module: fault for each in catalogs for fault in each.faults}
        description = next((each.description for each in catalogs if each.description), "")
        return Catalog(description, tuple(entries.values()), tuple(faults.values()))

    def offered(self) -> bool:
        """Return whether any runner told what it offers."""
        return bool(self._roster.present("runner"))

    def _owner(self, analysis: str) -> str | None:
        offering = [
            member.name
            for member in self._roster.present("runner")
            if self._catalogs[member.name].entry(analysis) is not None
        ]
        return owner(analysis, offering)

    def _hear(self, frames: Sequence[bytes]) -> None:
        try:
            message = codec.decode_one(frames[0], SIGNAL_PLANE)
            if not isinstance(message, Present | Leaving) or message.kind != "runner":
                return
            if isinstance(message, Present) and self._detail_of(message.name) != message.detail:
                self._catalogs[message.name] = catalog.from_bytes(message.detail)
        except (RemoteProtocolError, IndexError) as error:
            log.warning("dropped a malformed presence: %s", error)
            return
        gone = {member.name for member in self._roster.handle(message, asyncio.get_running_loop().time())}
        if self._development and isinstance(message, Leaving):
            # A runner that leaves was told to: its analysis was edited, and the pages load again when it is back.
            self._departed |= gone
        elif message.name in self._departed:
            self._departed.discard(message.name)
            self._lose({message.name}, reload=True)
        else:
            self._lose(gone)
        self._changed.set()

    def _detail_of(self, runner: str) -> bytes | None:
        members = self._roster.present("runner")
        return next((member.detail for member in members if member.name == runner), None)

    def _lose(self, runners: Set[str], *, reload: bool = False) -> None:
        for bridge, runner in list(self._bridges.values()):
            if runner in runners:
                if reload:
                    bridge.deliver(codec.encode(Reload("the analysis changed")))
                bridge.close(1012, "the runner of this analysis is gone")

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_INTERVAL)
            if self._bus is not None and self._bus.up:
                gone = {member.name for member in self._roster.expire(asyncio.get_running_loop().time())}
                if gone:
                    log.warning("silent for too long: %s", ", ".join(sorted(gone)))
                self._lose(gone)

    # Viewers

    async def owner(self, analysis: str) -> str | None:
        """Return the runner that owns an analysis, waiting a little for one to come."""
        try:
            async with asyncio.timeout(OWNER_PATIENCE):
                while (runner := self._owner(analysis)) is None and not self.offered():
                    self._changed.clear()
                    await self._changed.wait()
                return runner
        except TimeoutError:
            return None

    async def serve(self, bridge: Bridge, runner: str) -> None:
        """Relay for a viewer until it is gone."""
        topic = topics.of_runner(runner)

        def relay(envelope: Message, body: bytes) -> None:
            if self._bus is not None:
                self._bus.publish(topic, codec.encode(envelope), body)

        self._bridges[bridge.viewer] = (bridge, runner)
        try:
            await bridge.run(relay)
        finally:
            del self._bridges[bridge.viewer]

    def reload(self, reason: str) -> None:
        """Development: let all pages load again."""
        for bridge, _ in self._bridges.values():
            bridge.deliver(codec.encode(Reload(reason)))
