"""Which connections become viewers, without any connection."""

from typing import cast

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from databench.config import Settings
from databench_gateway.admission import admit
from databench_gateway.bridge import Bridge
from databench_gateway.gateway import Gateway
from databench_gateway.websocket import WebSocket


class Socket:
    """A connection that was just accepted."""

    def __init__(self, subprotocol: str | None) -> None:
        self.subprotocol = subprotocol
        self.listener: Bridge | None = None
        self.closed: tuple[int, str] | None = None

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)


HERE = Headers(Host="here:5000")


def asked(path: str = "/ws/pi", headers: Headers = HERE, *, spoken: bool = True, origins: str = "") -> Socket:
    """Return a connection after it was asked for; it has a listener, or it was closed."""
    socket = Socket("databench.1" if spoken else None)
    request = Request(path, headers)
    running = admit(Gateway(Settings(origins=origins)), cast(WebSocket, socket), request)
    assert (running is None) == (socket.listener is None) == (socket.closed is not None)
    if running is not None:
        running.close()
    return socket


def page_of(origin: str) -> Headers:
    return Headers(Host="here:5000", Origin=origin)


@pytest.mark.parametrize(
    "origin", [None, "http://here:5000", "https://here:5000", "http://friend", "https://here:5000/page"]
)
async def test_pages_of_this_host_and_of_listed_sites_and_programs_may_connect(origin: str | None) -> None:
    headers = HERE if origin is None else page_of(origin)
    assert asked(origins="http://other, http://friend", headers=headers).listener is not None


async def test_a_proxy_may_leave_out_the_port() -> None:
    assert asked(headers=Headers(Host="here", Origin="http://here:5000")).listener is not None


async def test_every_site_may_connect_where_the_settings_say_so() -> None:
    assert asked(origins="*", headers=page_of("http://elsewhere")).listener is not None


@pytest.mark.parametrize("origin", ["http://elsewhere", "http://here:6000", "null", "http://here.evil", "http://[", ""])
async def test_pages_of_other_sites_are_refused(origin: str) -> None:
    closed = asked(origins="http://friend", headers=page_of(origin)).closed
    assert closed is not None
    assert closed[0] == 4005


@pytest.mark.parametrize(("path", "name"), [("/ws/pi", "pi"), ("/ws/pi?x=1", "pi"), ("/ws/%CF%80", "π")])
async def test_the_address_names_the_analysis(path: str, name: str) -> None:
    listener = asked(path).listener
    assert listener is not None
    assert listener.analysis == name


@pytest.mark.parametrize("path", ["/", "/pi", "/wsx/pi", "//[", "*"])
async def test_no_other_address_has_a_websocket(path: str) -> None:
    closed = asked(path).closed
    assert closed is not None
    assert closed[0] == 4004


async def test_who_speaks_another_version_is_told_both() -> None:
    headers = Headers({"Host": "here:5000", "Sec-WebSocket-Protocol": "databench.999"})
    closed = asked(headers=headers, spoken=False).closed
    assert closed == (4001, "this server speaks databench.1, the page databench.999: load it again")
