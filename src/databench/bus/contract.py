"""What a service may expect of the bus, whatever carries it: the types, and nothing that moves bytes.

All calls and callbacks happen on the thread of one event loop. Delivery from one sender to one
receiver keeps its order. A bus that is down loses what is sent on it: whoever must not lose
anything numbers it (signals) or keeps it until it is answered (chunks), and sends it again.
"""

from collections.abc import Callable, Sequence
from typing import Protocol


class Listener(Protocol):
    """The receiving side of a service. Callbacks must be quick and must not raise."""

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        """Take a message of the signal plane, whose topic is one of those subscribed to."""

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Take a message of the chunk plane, sent by the broker."""

    def bus_up(self) -> None:
        """Learn that the bus is joined: from here on nothing is lost until `bus_down`."""

    def bus_down(self) -> None:
        """Learn that the broker is gone; the bus reconnects by itself."""


class Bus(Protocol):
    """A joined place on the bus."""

    @property
    def up(self) -> bool:
        """Whether the broker can be reached now."""

    async def joined(self) -> None:
        """Return as soon as the bus is up. Raises BusError when the broker refuses this service."""

    def publish(self, topic: bytes, *frames: bytes) -> None:
        """Send to all who subscribed to the topic, without waiting."""

    def dispatch(self, envelope: bytes, payload: bytes = b"") -> None:
        """Send to the broker on the chunk plane, without waiting."""

    async def close(self) -> None:
        """Send what is still under way, as far as that goes within a second, and leave the bus."""


Connect = Callable[[str, Sequence[bytes], Listener], Bus]
"""How a service joins: `connect(identity, topics, listener)`; identities are unique on a bus."""
