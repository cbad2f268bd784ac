"""A TCP proxy between pages and gateways that fails when it is told to.

Knows of HTTP and WebSockets only where a frame ends. Runs on the event loop of the test.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from itertools import cycle
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Way(Enum):
    """A direction."""

    TO_GATEWAY = "to the gateway"
    TO_PAGE = "to the page"


class Proxy:
    """Forwards each new connection to the next gateway, frame by frame.

    >>> async with Proxy(cluster.url("gateway-1")) as proxy, Page(proxy.url, "pi") as page:
    ...     proxy.cut(Way.TO_PAGE, 10)
    """

    def __init__(self, *gateways: str, port: int = 0) -> None:
        self.gateways = gateways
        self._port = port
        self.served: list[str] = []
        """The gateway of each connection that was let through."""
        self.refusing = False
        """Whether connections are refused."""
        self.lifetimes: deque[int] = deque()
        """After how many bytes, of both ways together, the connections that begin from now on are aborted."""
        self._next: Iterator[str] = cycle(gateways)
        self._cuts: dict[Way, int] = {}
        self._flowing = {way: asyncio.Event() for way in Way}
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.resume()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    # Faults

    def drop(self) -> None:
        """Abort all connections."""
        for link in self._links:
            link.abort()

    def cut(self, way: Way, after: int) -> None:
        """Forward `after` bytes of the next frame that goes this way and is longer; then abort its connection."""
        self._cuts[way] = after

    def stall(self, *ways: Way) -> None:
        """Forward no frame any more, in these directions or in both, and close nothing."""
        for way in ways or Way:
            self._flowing[way].clear()

    def resume(self) -> None:
        """Forward again."""
        for flowing in self._flowing.values():
            flowing.set()

    # Forwarding

    def _accept(self, page: asyncio.StreamReader, to_page: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(page, to_page))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, page: asyncio.StreamReader, to_page: asyncio.StreamWriter) -> None:
        try:
            if not self.refusing:
                await self._connect(page, to_page)
        finally:
            to_page.transport.abort()

    async def _connect(self, page: asyncio.StreamReader, to_page: asyncio.StreamWriter) -> None:
        url = next(self._next)
        where = urlsplit(url)
        try:
            gateway, to_gateway = await asyncio.open_connection(where.hostname, where.port)
        except OSError:
            return
        self.served.append(url)
        link = _Link(to_page, to_gateway, self.lifetimes.popleft() if self.lifetimes else None)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._forward(link, Way.TO_GATEWAY, page, to_gateway))
                tasks.create_task(self._forward(link, Way.TO_PAGE, gateway, to_page))
        finally:
            link.abort()
            self._links.discard(link)

    async def _forward(
        self, link: "_Link", way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.transport.set_write_buffer_limits(0)
        # An aborted connection ends both of its ways.
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            await _write(link, writer, head, len(head))
            while not link.aborted:
                frame = await _frame(reader)
                await self._flowing[way].wait()
                cut = len(frame) > self._cuts.get(way, len(frame))
                await _write(link, writer, frame, self._cuts.pop(way) if cut else len(frame))
        link.abort()


class Relay(Proxy):
    """Forwards whatever comes, as between a service and a broker; it can drop, refuse and stall."""

    def __init__(self, *gateways: str, port: int = 0) -> None:
        super().__init__(*gateways, port=port)
        self._holding = {way: asyncio.Event() for way in Way}

    async def held(self, way: Way) -> None:
        """Return when something has come that is not forwarded."""
        self._holding[way].clear()
        await self._holding[way].wait()

    async def _forward(
        self, link: "_Link", way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(2**16):
                if not self._flowing[way].is_set():
                    self._holding[way].set()
                await self._flowing[way].wait()
                await _write(link, writer, data, len(data))
        link.abort()


class _Link:
    """A connection: both of its ends, and how much of it may still pass."""

    def __init__(self, page: asyncio.StreamWriter, gateway: asyncio.StreamWriter, left: int | None) -> None:
        self.aborted = False
        self._ends = (page, gateway)
        self._left = left

    def passing(self, size: int) -> int:
        """Return how many of so many bytes may pass, and count them."""
        if self._left is None:
            return size
        passing = min(size, self._left)
        self._left -= passing
        return passing

    def abort(self) -> None:
        """End it without a word to either side."""
        self.aborted = True
        for end in self._ends:
            end.transport.abort()


async def _write(link: _Link, writer: asyncio.StreamWriter, data: bytes, keep: int) -> None:
    """Write the first `keep` bytes, as far as they may pass; what cannot be whole is the end of its connection."""
    passing = link.passing(keep)
    writer.write(data[:passing])
    await writer.drain()
    if passing < len(data):
        link.abort()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """Return the next WebSocket frame as it is (RFC 6455, section 5.2)."""
    head = await reader.readexactly(2)
    masked, length = head[1] >> 7, head[1] & 127
    extended = await reader.readexactly({126: 2, 127: 8}.get(length, 0))
    if extended:
        length = int.from_bytes(extended)
    return head + extended + await reader.readexactly(4 * masked + length)
