"""Whether a service on this machine is ready: what a container's health check asks."""

import asyncio
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Sequence

from databench.bus.zeromq import connector
from databench.config import Settings
from databench.errors import BusError, RemoteProtocolError
from databench.wire import codec, topics
from databench.wire.messages import SIGNAL_PLANE, Present, Who

PATIENCE = 4.0
"""Seconds to wait for an answer."""


async def check(kind: str, settings: Settings) -> None:
    """Return when the service is ready. Raises BusError that says what is missing."""
    if kind == "gateway":
        await asyncio.to_thread(_ask_gateway, settings.port)
        return
    listener = _Listener(kind, settings.name or f"{kind}-{socket.gethostname()}-")
    bus = connector(settings.bus)(f"health:{os.getpid()}", [topics.PRESENCE], listener)
    try:
        async with asyncio.timeout(PATIENCE):
            await bus.joined()
            if kind != "broker":
                bus.publish(topics.WHO, codec.encode(Who()))
                await listener.found.wait()
    except TimeoutError:
        raise BusError(f"no {kind} of this machine answers at {settings.bus}") from None
    finally:
        await bus.close()


def _ask_gateway(port: int) -> None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=PATIENCE):
            return
    except urllib.error.HTTPError as error:
        raise BusError(f"the gateway is not ready: {error.read().decode(errors='replace')}") from None
    except OSError as error:
        raise BusError(f"no gateway answers on port {port}: {error}") from None


class _Listener:
    """Waits for the presence of a service whose name begins as given."""

    def __init__(self, kind: str, name: str) -> None:
        self._kind = kind
        self._name = name
        self.found = asyncio.Event()

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        try:
            message = codec.decode_one(frames[0], SIGNAL_PLANE)
        except (RemoteProtocolError, IndexError):
            return
        if isinstance(message, Present) and message.kind == self._kind and message.name.startswith(self._name):
            self.found.set()

    def dispatched(self, envelope: bytes, payload: bytes) -> None: ...

    def bus_up(self) -> None: ...

    def bus_down(self) -> None: ...
