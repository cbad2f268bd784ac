"""The gateway as a service: who is present, which runner owns an analysis, and which viewer is on which bridge.

Holds nothing that matters: what it knows it hears from the bus, and any viewer may come back through any
gateway. Pages are made in `pages`, HTTP is spoken in `app`, and `admission` lets viewers in.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence, Set

from databench.bus.contract import Bus
from databench.config import Settings
from databench.errors import RemoteProtocolError
from databench.wire import codec, topics
from databench.wire.catalog import Catalog
from databench.wire.messages import SIGNAL_PLANE, Attach, Ended, Gone, Leaving, Message, Present, Reload, Who
from databench.wire.roster import PROOF
from databench_gateway.bridge import Bridge, ConnectionEndError, Relay
from databench_gateway.hosts import Hosts

log = logging.getLogger(__name__)

EXPIRY_INTERVAL = 1.0
"""Seconds between two looks for runners that are gone."""
MARGIN = 0.05
"""Seconds by which a look comes later than what it looks for."""
ACQUAINTANCE = 2.0
"""Seconds after which a gateway that has joined a bus knows all who are there."""
OWNER_PATIENCE = 5.0
"""Seconds that a viewer waits for a runner, as while one is restarted."""


LOST = Ended("the process that ran this analysis is gone")
"""To the pages of a runner that is gone."""


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
        self._hosts = Hosts()
        self._bridges: dict[str, tuple[Bridge, str]] = {}
        """By viewer: its bridge, and the runner that it speaks to."""
        self._audiences: dict[tuple[str, str], set[Bridge]] = {}
        """By runner and analysis: who hears its broadcasts."""
        self._departed: set[str] = set()
        """Development: runners that are gone while their viewers wait for them."""
        self._unsaid: list[tuple[bytes, bytes]] = []
        """Topic and envelope of viewers that went away while the broker was gone: one of each bridge at most."""
        self._changed = asyncio.Event()
        self._acquainted = 0.0
        """When it knows all who are there."""
        self._expiring: asyncio.Task[None] | None = None

    # The service

    async def start(self, bus: Bus) -> None:
        """Ask who is there; a gateway without runners is ready to say so."""
        self._bus = bus
        self._get_acquainted(bus)
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
            for topic, closed in self._unsaid:
                self._bus.publish(topic, closed, b"")
            self._unsaid.clear()
            self._get_acquainted(self._bus)

    def _get_acquainted(self, bus: Bus) -> None:
        self._acquainted = asyncio.get_running_loop().time() + ACQUAINTANCE
        bus.publish(topics.WHO, codec.encode(Who()))

    def bus_down(self) -> None:
        """The broker is gone: what is under way is lost, so viewers come back with the last number they saw.

        Nobody can be reached until heard again: a service may join the new broker later than this one.
        """
        self._hosts = Hosts()
        for bridge, _ in self._bridges.values():
            bridge.close(1013, "the broker is gone; trying again")

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Nothing comes here: a gateway has no part in the chunk plane."""

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        """Take what a runner sends to a viewer, or the presence of a service."""
        match frames:
            case _ if topic == topics.PRESENCE:
                self._hear(frames)
            case [viewer, body]:
                if (place := self._bridges.get(viewer.decode())) is not None:
                    place[0].deliver(body)
            case [viewer, code, reason]:
                if (place := self._bridges.get(viewer.decode())) is not None:
                    place[0].close(int(code), reason.decode())
            case [_, runner, analysis, body]:
                for bridge in self._audiences.get((runner.decode(), analysis.decode()), ()):
                    bridge.deliver(body)

    # Who is there

    def missing(self) -> list[str]:
        """Return what is missing for a page to work, in words; nothing when it would."""
        if self._bus is None or not self._bus.up:
            return ["broker"]
        return [] if self.offered() else ["runner"]

    def catalog(self) -> Catalog:
        """Return what all runners offer together."""
        return self._hosts.catalog()

    def offered(self) -> bool:
        """Return whether any runner told what it offers."""
        return bool(self._hosts.offers())

    def knows(self, analysis: str) -> bool:
        """Return whether there is such an analysis, or was since this gateway began."""
        return self._hosts.knows(analysis)

    def _hear(self, frames: Sequence[bytes]) -> None:
        try:
            message = codec.decode_one(frames[0], SIGNAL_PLANE)
            gone = self._hosts.handle(message, asyncio.get_running_loop().time())
        except (RemoteProtocolError, IndexError) as error:
            log.warning("dropped a malformed presence: %s", error)
            return
        if isinstance(message, Gone):
            self._doubt()
        if not isinstance(message, Present | Leaving) or message.kind != "runner":
            return
        if self._development and isinstance(message, Leaving):
            # A runner that leaves was told to: its analysis was edited, and the pages load again when it is back.
            self._departed |= gone
        elif message.name in self._departed:
            self._departed.discard(message.name)
            self._lose({message.name}, Reload("the analysis changed"))
        else:
            self._lose(gone)
        self._changed.set()

    def _lose(self, runners: Set[str], word: Message = LOST) -> None:
        """Tell the pages of these runners that their sessions are gone."""
        for bridge, runner in list(self._bridges.values()):
            if runner in runners:
                bridge.deliver(codec.encode(word))
                bridge.close(1012, "the runner of this analysis is gone")

    def _doubt(self) -> None:
        """The broker has lost somebody's connection: ask who is there, and soon look who answered."""
        if self._bus is not None:
            self._bus.publish(topics.WHO, codec.encode(Who()))
            asyncio.get_running_loop().call_later(PROOF + MARGIN, self._lose_silent)

    def _lose_silent(self) -> None:
        if self._bus is not None and self._bus.up:
            gone = self._hosts.expire(asyncio.get_running_loop().time())
            if gone:
                log.warning("gone, or silent for too long: %s", ", ".join(sorted(gone)))
                self._changed.set()
            self._lose(gone)

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_INTERVAL)
            self._lose_silent()

    # Viewers

    async def serve(self, bridge: Bridge) -> None:
        """Relay for a viewer until it is gone."""
        places: list[tuple[str, str]] = []

        async def find(attach: Attach) -> Relay:
            runner = await self._owner(bridge.analysis, attach.token)
            self._bridges[bridge.viewer] = (bridge, runner)
            places.append((runner, bridge.analysis))
            self._audiences.setdefault(places[0], set()).add(bridge)
            topic = topics.of_runner(runner)

            def relay(envelope: bytes, body: bytes) -> None:
                if self._bus is not None and self._bus.up:
                    self._bus.publish(topic, envelope, body)
                elif not body:
                    self._unsaid.append((topic, envelope))

            return relay

        try:
            await bridge.run(find)
        finally:
            self._bridges.pop(bridge.viewer, None)
            for place in places:
                self._audiences[place].discard(bridge)
                if not self._audiences[place]:
                    del self._audiences[place]

    async def _owner(self, analysis: str, token: str | None) -> str:
        """Return the runner that a page belongs to, waiting a little for one to come.

        Raises ConnectionEndError where there is none.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            runner = self._hosts.owner(analysis, token)
            if token is not None and not self._hosts.made(token) and loop.time() < self._acquainted:
                # Its runner may be one that was not heard yet.
                until = self._acquainted
            elif runner is None and (self.knows(analysis) or not self.offered()):
                until = begun + OWNER_PATIENCE
            else:
                break
            self._changed.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._changed.wait()
            except TimeoutError:
                if until != self._acquainted:
                    missing = " and no ".join(self.missing()) or "runner"
                    raise ConnectionEndError(1013, f"there is no {missing} now") from None
        if runner is None:
            raise ConnectionEndError(4004, f"there is no analysis {analysis[:40]!r} here")
        return runner

    def reload(self, reason: str) -> None:
        """Development: let all pages load again."""
        for bridge, _ in self._bridges.values():
            bridge.deliver(codec.encode(Reload(reason)))
