"""From the one address that is enough to join the bus to the three that its sockets use."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from databench.errors import ConfigError

DEFAULT = "tcp://127.0.0.1:5550"
LONGEST_IPC = 100
"""Bytes of an `ipc` address that every Unix takes."""


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
    return f"tcp://127.0.0.1:{_free_ports(3)}"


def _free_ports(number: int) -> int:
    """Return the first of some free ports that follow each other."""
    while True:
        with ExitStack() as taken:
            first = taken.enter_context(socket.create_server(("127.0.0.1", 0)))
            port: int = first.getsockname()[1]
            try:
                for offset in range(1, number):
                    taken.enter_context(socket.create_server(("127.0.0.1", port + offset)))
            except (OSError, OverflowError):
                continue
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
