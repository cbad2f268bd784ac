"""The bus over ZeroMQ: the connecting side of all three sockets, driven by the event loop.

Owns sockets, readiness and the draining of what has arrived. Knows no message but the welcome.
Sockets are read by draining them at each wake-up of their descriptor (four times the rate of one await per
message, docs/performance.md); that descriptor is edge-triggered, so every path reads until there is nothing left.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import cast

import zmq

from databench.bus.address import addresses
from databench.bus.contract import Connect, Listener
from databench.errors import BusError, ConfigError
from databench.wire.messages import SUBPROTOCOL

log = logging.getLogger(__name__)

WELCOME_PREFIX = b"databench."
QUEUE = 20_000
"""High-water mark of the signal plane, in messages: above the sum of the sessions' windows (docs/protocol.md)."""
COPIED = 64 * 2**10
"""Bytes from which on a payload is not copied on its way through a socket; below, a copy is cheaper than care."""
DRAIN = 1_000
"""Messages read in one go before the event loop gets its turn."""
PROBE_INTERVAL = 0.05
"""Seconds after which a probe that has not come back is sent again."""
LINGER = 1_000
"""Milliseconds for which a closing socket still sends."""
_EVENTS, _POLLIN, _NOBLOCK = int(zmq.EVENTS), int(zmq.POLLIN), int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
"""Plain numbers: the arithmetic of flags costs as much as what they are for."""


def configure(socket: "zmq.Socket[bytes]") -> "zmq.Socket[bytes]":
    """Set what all sockets of the bus have in common: bounds, reconnection, heartbeats."""
    socket.sndhwm = socket.rcvhwm = QUEUE
    socket.linger = LINGER
    socket.reconnect_ivl = 20
    socket.reconnect_ivl_max = 500
    socket.heartbeat_ivl = 2_000
    socket.heartbeat_timeout = 10_000
    socket.ipv6 = True
    return socket


def contents(frame: zmq.Frame) -> bytes:
    """Return what a frame holds: bytes, or where there is much of it a view that costs no copy and reads the same."""
    return frame.bytes if len(frame) < COPIED else cast(bytes, frame.buffer)


def readable(socket: "zmq.Socket[bytes]") -> bool:
    """Return whether something has arrived; asking also arms the descriptor's next wake-up."""
    return bool(cast(int, socket.getsockopt(_EVENTS)) & _POLLIN)


def receive(socket: "zmq.Socket[bytes]") -> list[bytes]:
    """Return the frames of a message that has arrived."""
    frame = socket.recv(_NOBLOCK, copy=False)
    frames = [contents(frame)]
    while frame.more:
        frame = socket.recv(_NOBLOCK, copy=False)
        frames.append(contents(frame))
    return frames


class ZeroMQBus:
    """A place on the bus of the broker at `bus`; see `databench.bus.contract.Bus`."""

    def __init__(self, bus: str, identity: str, topics: Sequence[bytes], listener: Listener) -> None:
        self._where = addresses(bus)
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._heard = self._up = self._refused = False
        self._probe_topic = f"i/{identity}/".encode()
        self._probe = 0
        self._probing: asyncio.TimerHandle | None = None
        self._joined: asyncio.Future[None] = self._loop.create_future()
        self._context = zmq.Context()
        self._publisher = self._socket(zmq.XPUB, self._drain_publisher)
        self._subscriber = self._socket(zmq.SUB, self._drain_subscriber)
        self._dealer = self._socket(zmq.DEALER, self._drain_dealer)
        # The probe's topic comes last: when a probe comes back, the broker knows all others too.
        for topic in (WELCOME_PREFIX, *topics, self._probe_topic):
            self._subscriber.subscribe(topic)
        # Only with this does libzmq take the broker's subscription back when the connection is lost.
        self._publisher.immediate = True
        self._dealer.routing_id = identity.encode()
        # Unbounded here because the job tables at both ends bound what is under way.
        self._dealer.sndhwm = self._dealer.rcvhwm = 0
        try:
            self._publisher.connect(self._where.inward)
            self._subscriber.connect(self._where.outward)
            self._dealer.connect(self._where.chunks)
        except zmq.ZMQError as error:
            self._close_sockets()
            self._context.term()
            raise ConfigError(f"the bus cannot be joined at {bus}: {error.strerror}") from None
        for socket, drain in (
            (self._publisher, self._drain_publisher),
            (self._subscriber, self._drain_subscriber),
            (self._dealer, self._drain_dealer),
        ):
            self._check(socket, drain)

    def _socket(self, kind: int, drain: Callable[[], None]) -> "zmq.Socket[bytes]":
        socket = configure(self._context.socket(kind))
        self._loop.add_reader(socket.fileno(), drain)
        return socket

    @property
    def up(self) -> bool:
        """Whether the broker can be reached now."""
        return self._up

    async def joined(self) -> None:
        """Return as soon as the bus is up; raises BusError for a broker of another version."""
        await asyncio.shield(self._joined)

    def publish(self, topic: bytes, *frames: bytes) -> None:
        """Send to all who subscribed to the topic."""
        # At the high-water mark the message is dropped; receivers find the hole in the numbers.
        if self._publisher.closed:
            return
        with suppress(zmq.Again):
            self._publisher.send(topic, _MORE)
            for frame in frames[:-1]:
                self._publisher.send(frame, _MORE)
            self._publisher.send(frames[-1], _NOBLOCK)
        self._check(self._publisher, self._drain_publisher)

    def dispatch(self, envelope: bytes, payload: bytes = b"") -> None:
        """Send to the broker on the chunk plane."""
        if self._dealer.closed:
            return
        self._dealer.send(envelope, _MORE)
        self._dealer.send(payload, _NOBLOCK, copy=len(payload) < COPIED)
        self._check(self._dealer, self._drain_dealer)

    async def close(self) -> None:
        """Leave the bus, sending for up to a second what is still under way."""
        self._close_sockets()
        if self._probing is not None:
            self._probing.cancel()
        self._up = False
        if not self._joined.done():
            self._joined.cancel()
        await asyncio.to_thread(self._context.term)

    def _close_sockets(self) -> None:
        for socket in (self._publisher, self._subscriber, self._dealer):
            if not socket.closed:
                self._loop.remove_reader(socket.fileno())
                socket.close(linger=LINGER)

    def _check(self, socket: "zmq.Socket[bytes]", drain: Callable[[], None]) -> None:
        # Sending takes the wake-up of what arrived on the same socket meanwhile.
        if readable(socket):
            self._loop.call_soon(drain)

    def _drain(self, socket: "zmq.Socket[bytes]", take: Callable[[list[bytes]], None]) -> None:
        # The descriptor wakes us for what comes after libzmq has looked and found nothing, in `readable` or before it
        # raises Again: all ways out of here lead through one of them. Before the first message nobody asks, since a
        # wake-up without one is rare; after each, since Again each time would cost more than a message.
        if socket.closed:
            return
        for _ in range(DRAIN):
            try:
                frames = receive(socket)
            except zmq.Again:
                return
            try:
                take(frames)
            except Exception:
                log.exception("a message from the bus could not be handled")
            if socket.closed or not readable(socket):
                return
        self._loop.call_soon(partial(self._drain, socket, take))

    def _drain_publisher(self) -> None:
        self._drain(self._publisher, self._take_notice)

    def _drain_subscriber(self) -> None:
        self._drain(self._subscriber, self._take_signal)

    def _drain_dealer(self) -> None:
        self._drain(self._dealer, self._take_chunk)

    def _take_notice(self, frames: list[bytes]) -> None:
        # The broker subscribes to everything; libzmq takes that back when the connection is lost.
        if frames[0] in (b"\x01", b"\x00"):
            self._heard = frames[0] == b"\x01"
            self._fall()
            self._send_probe()

    def _take_signal(self, frames: list[bytes]) -> None:
        topic = frames[0]
        if topic == self._probe_topic:
            if frames[1:] == [b"%d" % self._probe] and not self._refused:
                self._rise()
        elif not topic.startswith(WELCOME_PREFIX):
            self._listener.signalled(topic, frames[1:])
        elif topic == SUBPROTOCOL.encode():
            self._refused = False
            self._fall()
            self._send_probe()
        else:
            self._refused = True
            self._fall()
            spoken = topic.decode(errors="replace")
            text = f"the broker speaks {spoken}, this service {SUBPROTOCOL}: run the same release on both"
            # Nobody waits for the error when a broker comes back with another version.
            log.error("%s", text)
            if not self._joined.done():
                self._joined.set_exception(BusError(text))

    def _send_probe(self) -> None:
        """Ask the broker for an echo, until it comes: the bus is up when the newest probe has come all the way round.

        Both connections begin and break on their own, in any order, and the welcome may overtake our
        subscriptions, so a probe may get lost.
        """
        self._probe += 1
        if self._probing is not None:
            self._probing.cancel()
            self._probing = None
        if self._heard and not self._publisher.closed:
            self.publish(self._probe_topic, b"%d" % self._probe)
            self._probing = self._loop.call_later(PROBE_INTERVAL, self._send_probe)

    def _take_chunk(self, frames: list[bytes]) -> None:
        if len(frames) == 2:
            self._listener.dispatched(frames[0], frames[1])

    def _rise(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            self._probing = None
        if not self._up:
            self._up = True
            if not self._joined.done():
                self._joined.set_result(None)
            self._listener.bus_up()

    def _fall(self) -> None:
        if self._up:
            self._up = False
            self._joined = self._loop.create_future()
            self._listener.bus_down()


def connector(bus: str) -> Connect:
    """Return how to join the bus at this address."""
    addresses(bus)
    return partial(ZeroMQBus, bus)
