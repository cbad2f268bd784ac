"""The binding side of the bus: the forwarder of the signal plane and the ROUTER of the chunk plane.

Owns the three bound sockets. Decides nothing: the forwarder runs inside libzmq, and what to send on the
chunk plane comes from whoever takes its messages.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

import zmq

from databench.bus.address import Addresses
from databench.bus.zeromq import DRAIN, configure, readable
from databench.errors import ConfigError
from databench.wire.messages import SUBPROTOCOL

log = logging.getLogger(__name__)

Outgoing = Iterable[tuple[bytes, bytes, bytes]]
"""Receiver, envelope and payload of messages to send."""


def _bind(socket: "zmq.Socket[bytes]", address: str) -> None:
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise ConfigError(
            f"the bus cannot use {address}: {error.strerror}. Is another broker running? "
            "Choose another address with --bus"
        ) from None


class Forwarder:
    """Hands on everything that is published to all who subscribed, in a thread of libzmq without Python."""

    def __init__(self, where: Addresses) -> None:
        self._context = zmq.Context()
        self._inward = configure(self._context.socket(zmq.XSUB))
        self._outward = configure(self._context.socket(zmq.XPUB))
        self._outward.setsockopt(zmq.XPUB_WELCOME_MSG, SUBPROTOCOL.encode())
        try:
            _bind(self._inward, where.inward)
            _bind(self._outward, where.outward)
        except ConfigError:
            self._context.destroy(linger=0)
            raise
        # Everything is wanted from every publisher at once, so a new subscriber never waits for them to learn of it.
        self._inward.send(b"\x01")
        self._thread = threading.Thread(target=self._forward, name="forwarder", daemon=True)
        self._thread.start()

    def _forward(self) -> None:
        with suppress(zmq.ContextTerminated):
            zmq.proxy(self._inward, self._outward)
        self._inward.close(linger=0)
        self._outward.close(linger=0)

    def close(self) -> None:
        """Stop forwarding; returns when the sockets are closed."""
        self._context.term()
        self._thread.join()


class Router:
    """The ROUTER of the chunk plane, driven by the event loop."""

    def __init__(self, where: Addresses, take: Callable[[bytes, bytes, bytes], Outgoing]) -> None:
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._context = zmq.Context()
        self._socket = configure(self._context.socket(zmq.ROUTER))
        # Unbounded here because the job table bounds what is under way.
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.router_handover = True
        self._socket.router_mandatory = True
        try:
            _bind(self._socket, where.chunks)
        except ConfigError:
            self._context.destroy(linger=0)
            raise
        self._loop.add_reader(self._socket.fileno(), self.drain)
        self._loop.call_soon(self.drain)

    def drain(self) -> None:
        """Take what has arrived; a socket that was not looked at for a while may hold the signs of life of many."""
        for _ in range(DRAIN):
            if self._socket.closed:
                return
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(frames) == 3:
                self.send(self._take(frames[0], frames[1], frames[2]))
        self._loop.call_soon(self.drain)

    def send(self, messages: Outgoing) -> None:
        """Send messages; one whose receiver is not connected is dropped (its heartbeats will be missed)."""
        for message in messages:
            try:
                self._socket.send_multipart(message, zmq.NOBLOCK)
            except zmq.ZMQError as error:
                if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                    raise
                log.debug("%r is not connected", message[0])
        # Sending takes the wake-up of what arrived meanwhile.
        if readable(self._socket):
            self._loop.call_soon(self.drain)

    def close(self) -> None:
        """Close the socket, sending for up to a second what is still under way."""
        self._loop.remove_reader(self._socket.fileno())
        self._context.destroy(linger=1_000)
