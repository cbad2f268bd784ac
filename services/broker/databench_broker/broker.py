"""The broker: binds the bus, and carries out what the dispatcher decides. No user code, no history."""

import asyncio
import logging
import time
from collections.abc import Iterable

from databench.bus.address import addresses
from databench.wire.dispatch import Dispatcher
from databench_broker.sockets import Forwarder, Router

log = logging.getLogger(__name__)

TICK = 0.5
"""Seconds between looks for those whose heartbeats are missing."""


class Broker:
    """A bound bus. Raises ConfigError when an address is in use."""

    def __init__(self, bus: str, name: str) -> None:
        where = addresses(bus)
        self._dispatcher = Dispatcher(name)
        self._forwarder = Forwarder(where)
        try:
            self._router = Router(where, self._receive)
        except BaseException:
            self._forwarder.close()
            raise
        log.info("bus at %s", bus)

    def _receive(self, sender: bytes, envelope: bytes, payload: bytes) -> Iterable[tuple[bytes, bytes, bytes]]:
        return self._dispatcher.receive(sender, envelope, payload, time.monotonic())

    async def run(self) -> None:
        """Look after the members until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            self._router.drain()
            self._router.send(self._dispatcher.tick(time.monotonic()))

    def close(self) -> None:
        """Unbind the bus."""
        self._router.close()
        self._forwarder.close()
