"""Whether a service on this machine is ready: what a container's health check asks.

It runs every few seconds beside each service, so it imports no more than it needs.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Sequence

from databench.bus.zeromq import connector
from databench.config import Settings, from_environment
from databench.errors import BusError, DatabenchError, RemoteProtocolError
from databench.wire import codec, topics
from databench.wire.messages import SIGNAL_PLANE, Present, Who

KINDS = ("broker", "gateway", "runner", "worker")
PATIENCE = 4.0
"""Seconds to wait for an answer."""
LONGEST = 1_000
"""Bytes of the gateway's answer that are shown."""


def main(kind: str) -> None:
    """Return when the service of this kind is ready; else exit with 1 and say what is missing."""
    try:
        asyncio.run(check(kind, from_environment(os.environ)))
    except DatabenchError as error:
        sys.exit(f"databench: {error}")


async def check(kind: str, settings: Settings) -> None:
    """Return when the service is ready. Raises BusError that says what is missing."""
    if kind == "gateway":
        await _ask_gateway(settings.port)
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


async def _ask_gateway(port: int) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            answer, asking = await asyncio.open_connection("127.0.0.1", port)
            try:
                asking.write(b"GET /readyz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
                status = (await answer.readuntil(b"\r\n\r\n")).split()[1]
                body = await answer.read(LONGEST)
            finally:
                asking.close()
    except (OSError, EOFError, asyncio.LimitOverrunError, IndexError) as error:  # silence is an OSError, too
        raise BusError(f"no gateway answers on port {port}: {str(error) or 'it is silent'}") from None
    if status != b"200":
        raise BusError(f"the gateway is not ready: {body.decode(errors='replace')}")


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
