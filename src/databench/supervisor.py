"""`databench` on one machine: starts the four services as processes, restarts what dies, and stops all of it.

Owns processes and nothing of what they do: it learns from the bus that they are ready. Each one holds the
reading end of a pipe, its lifeline, and stops when this process is gone, however it ended.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import watchfiles

from databench.bus import service
from databench.bus.zeromq import connector
from databench.config import Settings
from databench.errors import ConfigError, RemoteProtocolError
from databench.wire import catalog, codec, topics
from databench.wire.catalog import Catalog
from databench.wire.messages import SIGNAL_PLANE, Present, Who

log = logging.getLogger(__name__)

BACKOFF = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a service that died is started again: the n-th entry after n deaths in a row."""
HEALTHY = 10.0
"""Seconds after which a service that dies has not died in a row."""
STOP_DEADLINE = 4.5
"""Seconds that the services have to stop; then they are killed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One service to run."""

    kind: str
    settings: Settings


@dataclass(slots=True)
class Child:
    """A service as a process; `wanted` is false while it is being stopped."""

    plan: Plan
    lifeline: int
    process: asyncio.subprocess.Process | None = None
    wanted: bool = True
    deaths: int = 0
    restart: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Keep the service running until it is no longer wanted. Raises ConfigError when it cannot be."""
        loop = asyncio.get_running_loop()
        while self.wanted:
            begun = loop.time()
            code = await self._live()
            if not self.wanted:
                return
            if code == service.MISCONFIGURED:
                raise ConfigError(f"{self.plan.kind} cannot run with these settings")
            if self.restart.is_set():
                self.restart.clear()
                self.deaths = 0
                continue
            self.deaths = 1 if loop.time() - begun > HEALTHY else self.deaths + 1
            pause = BACKOFF[min(self.deaths, len(BACKOFF)) - 1]
            log.error("%s %s; starting it again", self.plan.settings.name, _ending(code))
            await asyncio.sleep(pause)

    async def _live(self) -> int:
        environment = {**os.environ, **self.plan.settings.environment(), service.LIFELINE: str(self.lifeline)}
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "databench",
            self.plan.kind,
            env=environment,
            pass_fds=(self.lifeline,),
            # Ctrl-C goes to the supervisor alone, which then stops everybody in order.
            start_new_session=True,
        )
        return await self.process.wait()

    def terminate(self) -> None:
        """Ask the process to stop."""
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()

    def kill(self) -> None:
        """End the process."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()

    def renew(self) -> None:
        """Stop the process and start it again at once."""
        self.restart.set()
        self.terminate()


def _ending(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


class Watcher:
    """Listens on the bus until the services that were started are ready."""

    def __init__(self, runners: Sequence[str], workers: Sequence[str]) -> None:
        self.catalog: Catalog | None = None
        self.url = ""
        self._missing = {("runner", name) for name in runners} | {("worker", name) for name in workers}
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        """Return when all of them are present."""
        await self._ready.wait()

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        """Take the presence of a service."""
        try:
            message = codec.decode_one(frames[0], SIGNAL_PLANE)
            if not isinstance(message, Present):
                return
            if message.kind == "gateway":
                self.url = message.detail.decode()
            elif message.kind == "runner":
                self.catalog = catalog.from_bytes(message.detail).catalog
            self._missing.discard((message.kind, message.name))
        except (RemoteProtocolError, IndexError) as error:
            log.warning("dropped a malformed presence: %s", error)
        if not self._missing and self.url:
            self._ready.set()

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Nothing comes here."""

    def bus_up(self) -> None:
        """Nothing to do: those who are present say so each second."""

    def bus_down(self) -> None:
        """Nothing to do: the broker is started again."""


def plans(settings: Settings, workers: int) -> list[Plan]:
    """Return what to start, in this order; stopping goes the other way round."""
    names = ["broker", "gateway", "runner", *(f"worker-{number + 1}" for number in range(workers))]
    return [Plan(name.partition("-")[0], replace(settings, name=name)) for name in names]


async def supervise(
    settings: Settings, workers: int, stop: service.Stop, announce: Callable[[Catalog, str], None]
) -> None:
    """Run everything until a stop is wished for; `announce` is called when a page would work.

    Raises ConfigError when a service cannot run with these settings.
    """
    reading, writing = os.pipe()
    children = [Child(plan, reading) for plan in plans(settings, workers)]
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(child.run()) for child in children]
            others = [tasks.create_task(_announce(settings, children, announce))]
            if settings.development:
                others.append(tasks.create_task(_reload(settings, children)))
            try:
                await stop.wished()
            finally:
                for task in others:
                    task.cancel()
                await _shut_down(children)
                for task in running:
                    task.cancel()
    except* ConfigError as group:
        raise group.exceptions[0] from None
    finally:
        os.close(writing)
        os.close(reading)


async def _announce(settings: Settings, children: Sequence[Child], announce: Callable[[Catalog, str], None]) -> None:
    names = {kind: [c.plan.settings.name for c in children if c.plan.kind == kind] for kind in ("runner", "worker")}
    watcher = Watcher(names["runner"], names["worker"])
    bus = connector(settings.bus)(f"supervisor:{os.getpid()}", [topics.PRESENCE], watcher)
    try:
        await bus.joined()
        bus.publish(topics.WHO, codec.encode(Who()))
        await watcher.ready()
        announce(watcher.catalog or catalog.EMPTY, watcher.url)
    finally:
        await bus.close()


async def _reload(settings: Settings, children: Sequence[Child]) -> None:
    python = watchfiles.PythonFilter()
    async for changes in watchfiles.awatch(settings.analyses, watch_filter=python, debounce=200, step=50):
        log.info("changed: %s", ", ".join(sorted({os.path.basename(path) for _, path in changes})))
        for child in children:
            if child.plan.kind in ("runner", "worker"):
                child.renew()


async def _shut_down(children: Sequence[Child]) -> None:
    """Stop the services, the broker last: the others still have something to say."""
    for child in children:
        child.wanted = False
    ends = [child.process.wait() for child in children[1:] if child.process is not None]
    for child in children[1:]:
        child.terminate()
    try:
        async with asyncio.timeout(STOP_DEADLINE):
            await asyncio.gather(*ends)
            children[0].terminate()
            if children[0].process is not None:
                await children[0].process.wait()
    except TimeoutError:
        late = [c for c in children if c.process is not None and c.process.returncode is None]
        log.warning("killing what did not stop: %s", ", ".join(child.plan.settings.name for child in late))
        for child in late:
            child.kill()
