"""How every service lives: join the bus, start, be present, and stop as one readable list with a deadline.

Owns the life of a process: signals, lifeline, presence, deadline. Knows nothing of what a service does.
"""

import asyncio
import logging
import os
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from databench.bus.contract import Bus, Connect, Listener
from databench.bus.zeromq import connector
from databench.errors import ConfigError, DatabenchError, RemoteProtocolError
from databench.wire import codec, topics
from databench.wire.messages import SIGNAL_PLANE, Leaving, Present, Who

log = logging.getLogger(__name__)

PRESENCE_INTERVAL = 1.0
"""Seconds between two announcements."""
PATIENCE = 2.0
"""Seconds without a broker after which a service says that it waits."""
STOP_DEADLINE = 4.0
"""Seconds a service has to stop in order; what is left is ended with the process."""
MISCONFIGURED = 2
"""Exit code of a service whose settings cannot be used: starting it again would not help."""
LIFELINE = "DATABENCH_LIFELINE"
"""Environment variable: a file descriptor that reads as closed when the supervising process is gone."""


class Service(Listener, Protocol):
    """What runs on the bus."""

    kind: str
    name: str
    topics: Sequence[bytes]

    async def start(self, bus: Bus) -> None:
        """Begin; return when it is ready to serve."""

    async def stop(self) -> None:
        """Finish or hand back what is under way."""

    def detail(self) -> bytes:
        """Return what the presence of this service tells the others."""


class Presence:
    """A service as the bus sees it: passes on what is for it and answers who is there."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.life = secrets.token_hex(6)
        self.ready = False
        self.bus: Bus | None = None

    def join(self, connect: Connect) -> Bus:
        """Take the service's place on the bus."""
        identity = f"{self.service.kind}:{self.service.name}:{self.life}"
        self.bus = connect(identity, (topics.WHO, *self.service.topics), self)
        return self.bus

    def announce(self) -> None:
        """Say that the service is here, once it is."""
        if self.ready and self.bus is not None and self.bus.up:
            service = self.service
            present = Present(service.kind, service.name, self.life, service.detail())
            self.bus.publish(topics.PRESENCE, codec.encode(present))

    def take_leave(self) -> None:
        """Say that the service stops."""
        self.ready = False
        if self.bus is not None:
            self.bus.publish(topics.PRESENCE, codec.encode(Leaving(self.service.kind, self.service.name, self.life)))

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        """Answer `who`; everything else is the service's."""
        if topic != topics.WHO:
            self.service.signalled(topic, frames)
            return
        try:
            message = codec.decode_one(frames[0], SIGNAL_PLANE)
        except (RemoteProtocolError, IndexError):
            log.debug("malformed message on %r", topic)
        else:
            if isinstance(message, Who):
                self.announce()

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Pass on."""
        self.service.dispatched(envelope, payload)

    def bus_up(self) -> None:
        """Pass on, and be seen at once."""
        self.service.bus_up()
        self.announce()

    def bus_down(self) -> None:
        """Pass on, and say what happens."""
        log.warning("lost the broker; waiting for it")
        self.service.bus_down()


class Stop:
    """The wish to stop, from a signal, from the lifeline or from the code."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._lifeline: int | None = None

    def watch(self) -> None:
        """Listen to SIGINT, SIGTERM and the lifeline of the supervising process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.wish)
        if (descriptor := os.environ.pop(LIFELINE, "")).isdecimal():
            self._lifeline = int(descriptor)
            os.set_inheritable(self._lifeline, False)
            loop.add_reader(self._lifeline, self._lifeline_closed)

    def _lifeline_closed(self) -> None:
        if self._lifeline is not None:
            asyncio.get_running_loop().remove_reader(self._lifeline)
        self.wish()

    def wish(self) -> None:
        """Ask to stop."""
        self._event.set()

    async def wished(self) -> None:
        """Return when somebody asked to stop."""
        await self._event.wait()

    async def unless(self, coroutine: Coroutine[Any, Any, object]) -> bool:
        """Await the coroutine, unless a stop is wished for first; return whether it finished."""
        work = asyncio.ensure_future(coroutine)
        wish = asyncio.ensure_future(self.wished())
        try:
            await asyncio.wait((work, wish), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            return work.done()
        finally:
            for task in (work, wish):
                task.cancel()
            await asyncio.gather(work, wish, return_exceptions=True)


async def run(service: Service, connect: Connect, stop: Stop) -> None:
    """Run a service until a stop is wished for. Raises BusError when the broker refuses it."""
    presence = Presence(service)
    bus = presence.join(connect)
    try:
        if not await stop.unless(_joined(bus)) or not await stop.unless(service.start(bus)):
            return
        presence.ready = True
        presence.announce()
        log.info("ready")
        async with asyncio.TaskGroup() as tasks:
            announcing = tasks.create_task(_announce(presence))
            await stop.wished()
            announcing.cancel()
    finally:
        await _shut_down(service, presence, bus)


async def _joined(bus: Bus) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await bus.joined()
    except TimeoutError:
        log.warning("the broker is not there yet; waiting for it")
        await bus.joined()


async def _announce(presence: Presence) -> None:
    while True:
        await asyncio.sleep(PRESENCE_INTERVAL)
        presence.announce()


async def _shut_down(service: Service, presence: Presence, bus: Bus) -> None:
    # 1. Nobody sends anything new here.
    presence.take_leave()
    # 2. What is under way is finished or handed back.
    try:
        async with asyncio.timeout(STOP_DEADLINE):
            await service.stop()
    except TimeoutError:
        log.warning("did not stop within %g s; ending what is left", STOP_DEADLINE)
    finally:
        # 3. What was said last still leaves.
        await bus.close()
    log.info("stopped")


async def serve(make: Callable[[], Service], bus: str) -> None:
    """Make a service and run it on the bus at this address until the process is asked to stop."""
    stop = Stop()
    stop.watch()
    await run(make(), connector(bus), stop)


def main(body: Coroutine[Any, Any, None]) -> None:
    """Run a service as the whole of this process, and end the process.

    It ends by `os._exit`, and without waiting for the loop's executor: threads of an analysis may compute
    for hours, and must not keep a stopped service alive.
    """
    code = 0
    try:
        asyncio.new_event_loop().run_until_complete(body)
    except ConfigError as error:
        log.critical("%s", error)
        code = MISCONFIGURED
    except DatabenchError as error:
        log.critical("%s", error)
        code = 1
    except BaseException:
        log.critical("the service failed", exc_info=True)
        code = 1
    finally:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
