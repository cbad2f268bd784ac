"""From the one address that is enough to join the bus to the three that its sockets use."""

import secrets
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from databench.errors import ConfigError

DEFAULT = "tcp://127.0.0.1:5550"
LONGEST_IPC = 100
"""Bytes of an `ipc` address that every Unix takes."""
UNASSIGNED = range(10_000, 32_768)
"""Ports that no system gives to connections: Linux begins with 32,768, the others with 49,152."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the broker binds and everybody else connects."""

    chunks: str
    """ROUTER, the chunk plane."""
    inward: str
    """XSUB, what is published."""
    outward: str
    """XPUB, what is subscribed to."""


def local(directory: str) -> str:
    """Return an address for a broker that only this machine joins: sockets in the directory, else TCP on loopback.

    The path of a socket holds about a hundred bytes, and not every system has them.
    """
    bus = f"ipc://{directory}/bus"
    if hasattr(socket, "AF_UNIX") and len(addresses(bus).chunks.encode()) <= LONGEST_IPC:
        return bus
    return f"tcp://127.0.0.1:{free_ports(3)}"


def free_ports(number: int = 1) -> int:
    """Return the first of some free ports of loopback that follow each other.

    None of those that a system gives to connections: until somebody listens there, any connection could take one, even
    that of a service that tries whether the broker is there, to itself.
    """
    while True:
        port = UNASSIGNED.start + secrets.randbelow(len(UNASSIGNED) - number)
        with ExitStack() as taken, suppress(OSError):
            for offset in range(number):
                taken.enter_context(socket.create_server(("127.0.0.1", port + offset)))
            return port


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
