"""Which connections become viewers: the address asked for, the site that the page comes from, the version it speaks.

Refuses with a close code; browsers learn it only from a connection that was accepted.
"""

import logging
import secrets
from collections.abc import Coroutine
from typing import Any
from urllib.parse import unquote, urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Request

from databench.wire.messages import SUBPROTOCOL
from databench_gateway.bridge import Bridge
from databench_gateway.gateway import Gateway
from databench_gateway.websocket import WebSocket

log = logging.getLogger(__name__)

ADDRESS = "/ws/"
"""Where WebSockets are; the name of an analysis follows."""


def admit(gateway: Gateway, socket: WebSocket, request: Request) -> Coroutine[Any, Any, None] | None:
    """Make a viewer of a connection, or close it; see `databench_gateway.websocket.Connect`."""
    path = unquote(request.path.partition("?")[0])
    name = path.removeprefix(ADDRESS)
    if not _same_site(request.headers, gateway.origins):
        log.warning("refused a page from %s", _first(request.headers, "Origin"))
        socket.close(4005, "pages of other sites may not connect; DATABENCH_ORIGINS lists those that may")
    elif not path.startswith(ADDRESS) or (gateway.offered() and not gateway.knows(name)):
        socket.close(4004, f"there is no analysis {name[:40]!r} here")
    elif socket.subprotocol is None:
        offered = ", ".join(request.headers.get_all("Sec-WebSocket-Protocol"))[:60] or "nothing"
        socket.close(4001, f"this server speaks {SUBPROTOCOL}, the page {offered}: load it again")
    else:
        socket.listener = bridge = Bridge(socket, secrets.token_hex(8), gateway.name, name)
        return gateway.serve(bridge)
    return None


def _same_site(headers: Headers, origins: frozenset[str]) -> bool:
    """Return whether the page that connects is one of ours.

    Browsers let any site open a WebSocket to any host, and only tell who it was: without this check a
    foreign page could drive the analyses of whoever looks at it. Programs send no Origin.
    """
    origin = _first(headers, "Origin")
    if origin is None or "*" in origins or origin in origins:
        return True
    try:
        site = urlsplit(origin)
    except ValueError:
        return False
    # Some proxies leave out the port of the host that was asked for.
    return _first(headers, "Host") in (site.netloc, site.hostname)


def _first(headers: Headers, name: str) -> str | None:
    return next(iter(headers.get_all(name)), None)
