"""One address is enough: what is derived from it, and what is refused."""

import socket

import pytest

from databench.bus.address import DEFAULT, UNASSIGNED, Addresses, addresses, local
from databench.errors import ConfigError


@pytest.mark.parametrize(
    ("bus", "expected"),
    [
        ("tcp://head:5550", Addresses("tcp://head:5550", "tcp://head:5551", "tcp://head:5552")),
        ("tcp://[::1]:1", Addresses("tcp://[::1]:1", "tcp://[::1]:2", "tcp://[::1]:3")),
        ("tcp://*:65533", Addresses("tcp://*:65533", "tcp://*:65534", "tcp://*:65535")),
        ("ipc:///run/bus", Addresses("ipc:///run/bus.chunks", "ipc:///run/bus.in", "ipc:///run/bus.out")),
    ],
)
def test_three_addresses_come_from_one(bus: str, expected: Addresses) -> None:
    assert addresses(bus) == expected


@pytest.mark.parametrize(
    "bus",
    [
        "",
        "head",
        "head:5550",
        "tcp://",
        "tcp://head",
        "tcp://:5550",
        "tcp://head:",
        "tcp://head:0",
        "tcp://head:65534",
        "tcp://head:x",
        "tcp://head:-1",
        "ipc://",
        "udp://head:5550",
        "http://head:5550",
    ],
)
def test_what_is_no_address_is_refused_and_named(bus: str) -> None:
    with pytest.raises(ConfigError, match="is no bus address: give tcp://HOST:PORT, for example") as caught:
        addresses(bus)
    assert repr(bus) in str(caught.value)


def test_the_default_is_an_address() -> None:
    assert addresses(DEFAULT).chunks == DEFAULT


def test_a_bus_of_this_machine_uses_sockets_in_a_directory() -> None:
    assert local("/tmp/x") == "ipc:///tmp/x/bus"


def test_where_the_path_of_a_socket_would_be_too_long_it_uses_three_free_ports() -> None:
    bus = local("/tmp/" + 100 * "x")
    assert bus.startswith("tcp://127.0.0.1:")
    for each in (addresses(bus).chunks, addresses(bus).inward, addresses(bus).outward):
        port = int(each.rpartition(":")[2])
        assert port in UNASSIGNED, "no connection can take it before somebody listens there"
        socket.create_server(("127.0.0.1", port)).close()
