"""The binding side of the bus: the forwarder of the signal plane and the ROUTER of the chunk plane.

Owns the three bound sockets. Decides nothing: the forwarder runs inside libzmq, and what to send on the
chunk plane comes from whoever takes its messages.
"""

import asyncio
import logging
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol, cast

import zmq
from zmq.utils.monitor import parse_monitor_message

from databench.bus.address import Addresses
from databench.bus.zeromq import COPIED, DRAIN, configure, readable
from databench.errors import ConfigError
from databench.wire.messages import SUBPROTOCOL
from databench.wire.outbox import Outgoing

log = logging.getLogger(__name__)

OWN = "inproc://broker"
"""Where the broker publishes what it has to say itself."""
FLUSH = 64
"""Messages that are received before what they lead to is sent."""
_NOBLOCK = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)


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
        # What the broker itself publishes comes the same way as everybody's.
        _bind(self._inward, OWN)
        self._publisher = configure(self._context.socket(zmq.PUB))
        self._publisher.connect(OWN)
        # Everything is wanted from every publisher at once, so a new subscriber never waits for them to learn of it.
        self._inward.send(b"\x01")
        self._thread = threading.Thread(target=self._forward, name="forwarder", daemon=True)
        self._thread.start()

    def publish(self, topic: bytes, frame: bytes) -> None:
        """Send to all who subscribed to the topic."""
        with suppress(zmq.Again):
            self._publisher.send_multipart((topic, frame), zmq.NOBLOCK)

    def _forward(self) -> None:
        with suppress(zmq.ContextTerminated):
            zmq.proxy(self._inward, self._outward)
        self._inward.close(linger=0)
        self._outward.close(linger=0)

    def close(self) -> None:
        """Stop forwarding; returns when the sockets are closed."""
        self._publisher.close(linger=0)
        self._context.term()
        self._thread.join()


def _kept(frame: zmq.Frame) -> bytes:
    """Return a payload as it is passed on: a large one stays in the memory of libzmq; nobody here looks inside."""
    return frame.bytes if len(frame) < COPIED else cast(bytes, frame)


class Taker(Protocol):
    """Who decides: is told what comes, and asked what to send."""

    def received(self, sender: bytes, envelope: bytes, payload: bytes) -> None:
        """Take what a peer sent in one go."""

    def disconnected(self, sender: bytes) -> None:
        """Learn that the connection of a peer was closed: what was on its way to or from it may be lost."""

    def outgoing(self) -> Iterable[Outgoing]:
        """Return what is to be sent."""


class Router:
    """The ROUTER of the chunk plane, driven by the event loop.

    The kernel closes the connections of a process that ends, however it ends, and libzmq tells which descriptor
    that was; each message tells the descriptor that it came from. So the loss of a peer is known at once, and
    not taken for granted after some time. Where a descriptor is not to be had, or the whole machine is lost, its
    silence tells.

    The system gives a descriptor that was closed to the next connection, so a message of that one may come before
    the end of the other is told. Who is heard through another's descriptor, or through a new one, tells it too.
    """

    def __init__(self, where: Addresses, taker: Taker) -> None:
        self._taker = taker
        self._loop = asyncio.get_running_loop()
        self._context = zmq.Context()
        self._socket = configure(self._context.socket(zmq.ROUTER))
        # Unbounded here because the job table bounds what is under way.
        self._socket.sndhwm = self._socket.rcvhwm = 0
        self._socket.router_handover = True
        self._socket.router_mandatory = True
        self._peers: dict[int, bytes] = {}
        self._descriptors: dict[bytes, int] = {}
        self._passed_on: set[int] = set()
        """Descriptors whose earlier connection is known to have ended before libzmq told so."""
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        try:
            _bind(self._socket, where.chunks)
        except ConfigError:
            self._socket.disable_monitor()
            self._context.destroy(linger=0)
            raise
        self._loop.add_reader(self._socket.fileno(), self.drain)
        self._loop.add_reader(self._monitor.fileno(), self._drain_monitor)
        # Both descriptors are edge-triggered: they wake nobody up before somebody has looked.
        self._loop.call_soon(self.drain)
        self._loop.call_soon(self._drain_monitor)

    def drain(self) -> None:
        """Take what has arrived; a socket that was not looked at for a while may hold the signs of life of many."""
        for count in range(1, DRAIN + 1):
            if self._socket.closed:
                return
            try:
                sender = self._socket.recv(_NOBLOCK)
            except zmq.Again:
                self.flush()
                return
            frames = self._rest()
            if len(frames) == 2:
                self._remember(sender, frames[0])
                self._taker.received(sender, frames[0].bytes, _kept(frames[1]))
            if count % FLUSH == 0:
                self.flush()
        self._loop.call_soon(self.drain)

    def _rest(self) -> list[zmq.Frame]:
        """Return what came behind the name of its sender. One by one: `recv_multipart` takes twice as long."""
        frames = [self._socket.recv(_NOBLOCK, copy=False)]
        while frames[-1].more:
            frames.append(self._socket.recv(_NOBLOCK, copy=False))
        return frames

    def _remember(self, sender: bytes, frame: zmq.Frame) -> None:
        descriptor = frame.get(zmq.SRCFD)
        if self._descriptors.get(sender) == descriptor:
            return
        if sender in self._descriptors:
            self._lose(self._descriptors[sender])
        if descriptor in self._peers:
            self._lose(descriptor)
            self._passed_on.add(descriptor)
        self._peers[descriptor] = sender
        self._descriptors[sender] = descriptor

    def _lose(self, descriptor: int) -> None:
        if (sender := self._peers.pop(descriptor, None)) is not None:
            del self._descriptors[sender]
            self._taker.disconnected(sender)

    def _drain_monitor(self) -> None:
        events: list[tuple[int, int]] = []
        while not self._monitor.closed:
            try:
                event = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                break
            events.append((event["event"], event["value"]))
        self.drain()  # what was said before the connection closed comes first
        for kind, descriptor in events:
            if kind == zmq.EVENT_DISCONNECTED and descriptor not in self._passed_on:
                self._lose(descriptor)
            self._passed_on.discard(descriptor)
        self.flush()

    def flush(self) -> None:
        """Send what is to be sent; what is for a peer that is not connected is dropped (it is about to be missed)."""
        if self._socket.closed:
            return
        for receiver, envelopes, payload in self._taker.outgoing():
            try:
                self._socket.send(receiver, _MORE)
                self._socket.send(envelopes, _MORE)
                self._socket.send(payload, _NOBLOCK)
            except zmq.ZMQError as error:
                if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                    raise
                log.debug("%r is not connected", receiver)
        # Sending takes the wake-up of what arrived meanwhile.
        if readable(self._socket):
            self._loop.call_soon(self.drain)

    def close(self) -> None:
        """Close the socket, sending for up to a second what is still under way."""
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_reader(self._monitor.fileno())
        self._socket.disable_monitor()
        self._context.destroy(linger=1_000)
