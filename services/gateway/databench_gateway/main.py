"""The gateway's process: uvicorn around the application, inside the life of a service.

Owns the listening socket and, in development, the watching of pages. Knows nothing of viewers.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import uvicorn
import watchfiles

from databench.bus import service
from databench.bus.contract import Bus
from databench.config import Settings
from databench.listening import listen
from databench.wire.messages import SUBPROTOCOL
from databench_gateway.admission import admit
from databench_gateway.app import build
from databench_gateway.gateway import Gateway
from databench_gateway.pages import Pages
from databench_gateway.websocket import WebSocket

log = logging.getLogger(__name__)

SHUTDOWN = 2
"""Seconds that open connections have to end when the gateway stops."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the service decides when it stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class GatewayServer(Gateway):
    """The gateway with its web server; a service on the bus."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._socket = listen(settings.host, settings.port)
        port = self._socket.getsockname()[1]
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host
        self.url = f"http://{host}:{port}{settings.root_path}"
        self._server = _Server(
            uvicorn.Config(
                build(self, Pages(settings.analyses, development=settings.development)),
                log_config=None,
                access_log=settings.log == "debug",
                lifespan="off",
                root_path=settings.root_path,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN,
                # uvicorn calls it as it would call a class.
                ws=cast(type[asyncio.Protocol], partial(WebSocket, SUBPROTOCOL, partial(admit, self))),
                ws_max_size=settings.max_frame,
            )
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, bus: Bus) -> None:
        """Serve pages; in development watch them."""
        await super().start(bus)
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._server.serve(sockets=[self._socket])))
        if self._settings.development and self._settings.analyses.is_dir():
            self._tasks.append(loop.create_task(self._watch(self._settings.analyses)))

    async def stop(self) -> None:
        """Close the viewers, then the server."""
        await super().stop()
        self._server.should_exit = True
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, folder: Path) -> None:
        def is_page(change: watchfiles.Change, path: str) -> bool:
            return not path.endswith((".py", ".pyc", "~"))

        async for changes in watchfiles.awatch(folder, watch_filter=is_page, debounce=100, step=50):
            names = sorted({Path(path).name for _, path in changes})
            log.info("changed: %s", ", ".join(names))
            self.reload(f"{names[0]} changed")


def main(settings: Settings) -> None:
    """Run a gateway as this process."""
    service.main(service.serve(lambda: GatewayServer(settings), settings.bus))
