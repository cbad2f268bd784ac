"""The services of a `databench`, each a process that a test starts, kills and starts again, on a bus of their own.

Knows processes and what they print; nobody supervises them but the test.
"""

import os
import signal
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import psutil

from databench.bus import address
from databench.bus.service import LIFELINE
from tests.e2e.server import START, Process, eventually, listening_port

CHAOS = Path(__file__).parent
READY = {"broker": r"INFO +bus at ", "gateway": r"INFO +ready$", "runner": r"INFO +ready$", "worker": r"INFO +ready$"}
"""By kind of service, what it prints when it is ready."""


class Cluster:
    """Services by name, such as `gateway-1`: the part before the dash is the kind.

    `environment` is for all of them; see `shim/sitecustomize.py` for what can be set besides settings. The sockets of
    the bus are in `directory`.
    """

    def __init__(self, directory: Path, *names: str, environment: Mapping[str, str] | None = None) -> None:
        self.names = names
        self.bus = address.local(str(directory))
        self._processes: dict[str, Process] = {}
        self._ports: dict[str, int] = {}
        self._lifeline, self._life = os.pipe()
        self._environment = {
            "DATABENCH_BUS": self.bus,
            "DATABENCH_ANALYSES": str(CHAOS / "probes"),
            "DATABENCH_SLOTS": "2",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(CHAOS / "shim"), os.environ.get("PYTHONPATH")))),
            # Whoever outlives the test process ends by itself.
            LIFELINE: str(self._lifeline),
            **(environment or {}),
        }

    def __enter__(self) -> Self:
        self.start(*self.names)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._life)
        os.close(self._lifeline)
        for process in self._processes.values():
            try:
                process.process.wait(START)
            except subprocess.TimeoutExpired:
                process.process.kill()
                raise

    def alive(self, name: str) -> bool:
        """Return whether a service runs."""
        return name in self._processes and self._processes[name].process.poll() is None

    def process(self, name: str) -> psutil.Process:
        """Return the process of a service."""
        return psutil.Process(self._processes[name].process.pid)

    def output(self, name: str) -> str:
        """Return what a service has printed."""
        return self._processes[name].output

    def url(self, name: str) -> str:
        """Return where a gateway serves, now and when it was started again."""
        return f"http://127.0.0.1:{self._ports[name]}"

    def start(self, *names: str, environment: Mapping[str, str] | None = None, acquainted: bool = True) -> None:
        """Start these services; return when they are ready and, if `acquainted`, every gateway knows every runner."""
        for name in names:
            kind = name.partition("-")[0]
            options = ["--port", str(self._ports.get(name, 0))] if kind == "gateway" else []
            self._processes[name] = Process(
                kind,
                *options,
                environment={**self._environment, "DATABENCH_NAME": name, **(environment or {})},
                keep=[self._lifeline],
            )
        for name in names:
            self._processes[name].expect(READY[name.partition("-")[0]])
            if name.startswith("gateway"):
                self._ports[name] = listening_port(self.process(name))
        if acquainted:
            self._await_acquaintance()

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a service by a signal: without a word, unless it is another one."""
        process = self._processes[name].process
        process.send_signal(number)
        process.wait(START)

    def repair(self) -> None:
        """Start what has ended."""
        if ended := [name for name in self.names if not self.alive(name)]:
            self.start(*ended)

    def _await_acquaintance(self) -> None:
        def knows(gateway: str, runner: str) -> bool:
            # Each runner offers an analysis that is called after it.
            return httpx.get(f"{self.url(gateway)}/at-{runner}").status_code == 307

        living = [name for name in self._processes if self.alive(name)]
        for gateway in [name for name in living if name.startswith("gateway")]:
            for runner in [name for name in living if name.startswith("runner")]:
                eventually(partial(knows, gateway, runner))


def connections(gateway: psutil.Process) -> int:
    """Return how many connections a gateway holds."""
    return sum(each.status == psutil.CONN_ESTABLISHED for each in gateway.net_connections("tcp"))
