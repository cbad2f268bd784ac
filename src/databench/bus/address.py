"""From the one address that is enough to join the bus to the three that its sockets use."""

from dataclasses import dataclass

from databench.errors import ConfigError

DEFAULT = "tcp://127.0.0.1:5550"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the broker binds and everybody else connects."""

    chunks: str
    """ROUTER, the chunk plane."""
    inward: str
    """XSUB, what is published."""
    outward: str
    """XPUB, what is subscribed to."""


def addresses(bus: str) -> Addresses:
    """Return the addresses behind `tcp://HOST:PORT` (three ports from PORT on) or `ipc://PATH` (three sockets).

    Raises ConfigError for anything else.

    >>> addresses("tcp://head:5550").outward
    'tcp://head:5552'
    """
    scheme, separator, rest = bus.partition("://")
    if separator and rest and scheme == "ipc":
        return Addresses(f"{bus}.chunks", f"{bus}.in", f"{bus}.out")
    host, colon, port = rest.rpartition(":")
    if scheme == "tcp" and colon and host and port.isdecimal() and 0 < int(port) <= 65_533:
        return Addresses(*(f"tcp://{host}:{int(port) + offset}" for offset in range(3)))
    raise ConfigError(f"{bus!r} is no bus address: give tcp://HOST:PORT, for example {DEFAULT}, or ipc://PATH")
