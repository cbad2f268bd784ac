"""The broker: binds the bus, and carries out what the dispatcher decides. No user code, no history."""

import asyncio
import logging
import time
from collections.abc import Iterable

from databench.bus.address import addresses
from databench.wire import codec, topics
from databench.wire.dispatch import Dispatcher
from databench.wire.messages import Gone
from databench.wire.outbox import Outgoing
from databench_broker.sockets import Forwarder, Router

log = logging.getLogger(__name__)

TICK = 0.25
"""Seconds between looks for those whose heartbeats are missing."""


class Broker:
    """A bound bus. Raises ConfigError when an address is in use."""

    def __init__(self, bus: str, name: str) -> None:
        where = addresses(bus)
        self._dispatcher = Dispatcher(name)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ticked = time.monotonic()
        self._forwarder = Forwarder(where)
        try:
            self._router = Router(where, self)
        except BaseException:
            self._forwarder.close()
            raise
        log.info("bus at %s", bus)

    def received(self, sender: bytes, envelope: bytes, payload: bytes) -> None:
        """Take what came in one go."""
        self._dispatcher.receive(sender, envelope, payload, time.monotonic())

    def disconnected(self, sender: bytes) -> None:
        """Learn that a connection was closed; the gateways are told of a runner's."""
        self._dispatcher.disconnected(sender, time.monotonic())
        kind, _, rest = sender.decode(errors="replace").partition(":")
        name, _, life = rest.rpartition(":")
        if kind == "runner":
            self._forwarder.publish(topics.PRESENCE, codec.encode(Gone(kind, name, life)))

    def outgoing(self) -> Iterable[Outgoing]:
        """Return what is to be sent."""
        self._schedule()
        return self._dispatcher.outgoing()

    async def run(self) -> None:
        """Look after the members until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            self._tick()

    def _tick(self) -> None:
        self._router.drain()
        now = time.monotonic()
        late = now - self._ticked - TICK
        if late > TICK:
            self._dispatcher.held_up(late, now)
        self._ticked = now
        self._dispatcher.tick(now)
        self._router.flush()

    def _schedule(self) -> None:
        """Have the timer ring where something is due before the next look; early is harmless."""
        due = self._dispatcher.next_tick
        if due is None or due > self._loop.time() + TICK:
            return
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._tick()

    def close(self) -> None:
        """Unbind the bus."""
        if self._timer is not None:
            self._timer.cancel()
        self._router.close()
        self._forwarder.close()
