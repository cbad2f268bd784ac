"""The bus within one process: the same contract and the same dispatcher as the real one, for tests and notebooks.

What is sent is delivered on the next turn of the event loop, never inside the sender's call, as over a network.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from databench.bus.contract import Listener
from databench.wire.dispatch import Dispatcher


class MemoryBroker:
    """A broker without sockets; `connect` has the shape of `databench.bus.contract.Connect`."""

    def __init__(self, name: str = "memory") -> None:
        self._name = name
        self._dispatcher = Dispatcher(name)
        self._places: dict[bytes, MemoryBus] = {}
        self.up = True

    def connect(self, identity: str, topics: Sequence[bytes], listener: Listener) -> "MemoryBus":
        """Return a place on this bus."""
        place = MemoryBus(self, identity.encode(), tuple(topics), listener)
        self._places[place.identity] = place
        if self.up:
            place.rise()
        return place

    def forward(self, topic: bytes, frames: tuple[bytes, ...]) -> None:
        """Hand on what was published."""
        for place in self._places.values():
            if topic.startswith(place.topics):
                place.take_signal(topic, frames)

    def receive(self, sender: bytes, envelope: bytes, payload: bytes) -> None:
        """Take a message of the chunk plane."""
        self._dispatcher.receive(sender, envelope, payload, time.monotonic())
        self._send(self._dispatcher.outgoing())

    def tick(self) -> None:
        """Look for those whose heartbeats are missing."""
        self._dispatcher.tick(time.monotonic())
        self._send(self._dispatcher.outgoing())

    def _send(self, messages: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        for receiver, envelope, payload in messages:
            if receiver in self._places:
                self._places[receiver].take_chunk(envelope, payload)

    def fail(self) -> None:
        """Behave as if the broker died: everything under way and everything it knew is lost."""
        self.up = False
        self._dispatcher = Dispatcher(self._name)
        for place in self._places.values():
            place.fall()

    def recover(self) -> None:
        """Behave as if the broker was started again."""
        self.up = True
        for place in self._places.values():
            place.rise()

    def leave(self, place: "MemoryBus") -> None:
        """Forget a place."""
        self._places.pop(place.identity, None)


class MemoryBus:
    """A place on a MemoryBroker; see `databench.bus.contract.Bus`."""

    def __init__(self, broker: MemoryBroker, identity: bytes, topics: tuple[bytes, ...], listener: Listener) -> None:
        self.identity = identity
        self.topics = topics
        self._broker = broker
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._joined = asyncio.Event()

    @property
    def up(self) -> bool:
        """Whether the broker is there."""
        return self._broker.up and self._joined.is_set()

    async def joined(self) -> None:
        """Return as soon as the bus is up."""
        await self._joined.wait()

    def publish(self, topic: bytes, *frames: bytes) -> None:
        """Send to all who subscribed to the topic."""
        if self.up:
            self._broker.forward(topic, frames)

    def dispatch(self, envelope: bytes, payload: bytes = b"") -> None:
        """Send to the dispatcher."""
        if self.up:
            self._loop.call_soon(self._broker.receive, self.identity, envelope, payload)

    async def close(self) -> None:
        """Leave the bus."""
        self._joined.clear()
        self._broker.leave(self)

    def take_signal(self, topic: bytes, frames: tuple[bytes, ...]) -> None:
        """Deliver on the next turn."""
        self._loop.call_soon(self._deliver, self._listener.signalled, topic, list(frames))

    def take_chunk(self, envelope: bytes, payload: bytes) -> None:
        """Deliver on the next turn."""
        self._loop.call_soon(self._deliver, self._listener.dispatched, envelope, payload)

    def _deliver(self, take: Callable[..., None], *arguments: object) -> None:
        # What is under way is lost with the broker, and a place that was left takes nothing.
        if self.up:
            take(*arguments)

    def rise(self) -> None:
        """The broker is there."""
        self._joined.set()
        self._loop.call_soon(self._listener.bus_up)

    def fall(self) -> None:
        """The broker is gone."""
        self._joined.clear()
        self._loop.call_soon(self._listener.bus_down)
