"""What a case gets of one server: viewers, the memory of its processes, and the time they compute."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from benchmarks.signals.protocols.contract import Client

OTHERS = "others"
BUSY = ("user", "nice", "system", "irq", "softirq")
"""What a machine's time is called where it is not idle; not every system has all of them."""


class Bench:
    """A running server, and what was measured of its processes."""

    def __init__(self, client: type[Client], port: int, pid: int) -> None:
        self.units = 0
        """Signals, or round trips, of the part that `computing` watched."""
        self.seconds = 0.0
        """How long that part took."""
        self.cpu: dict[str, float] = {}
        """Seconds of CPU in that part, by process; this one is `client`, and all that have no part in it are OTHERS."""
        self._client = client
        self._port = port
        self._pid = pid
        self._opened = 0

    async def viewer(self) -> Client:
        """Return one more viewer, connected."""
        self._opened += 1
        client = self._client(self._port, f"viewer-{self._opened}-{time.monotonic_ns()}")
        await client.open()
        return client

    def memory(self) -> float:
        """Return the megabytes that the server's processes share with no other."""
        return float(sum(each.memory_full_info().uss for each in self._processes())) / 1e6

    @contextmanager
    def computing(self, units: int) -> Iterator[None]:
        """Note how much the processes compute in this block."""
        before, begun = self._computed(), time.perf_counter()
        yield
        self.seconds = time.perf_counter() - begun
        self.cpu = {name: seconds - before.get(name, 0.0) for name, seconds in self._computed().items()}
        self.cpu[OTHERS] -= sum(seconds for name, seconds in self.cpu.items() if name != OTHERS)
        self.units = units

    def _processes(self) -> list[psutil.Process]:
        top = psutil.Process(self._pid)
        return [top, *top.children(recursive=True)]

    def _computed(self) -> dict[str, float]:
        machine = psutil.cpu_times()
        seconds: dict[str, float] = defaultdict(float, client=time.process_time())
        seconds[OTHERS] = sum(getattr(machine, kind, 0.0) for kind in BUSY)
        for each in self._processes():
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                seconds[_name(each)] += times.user + times.system
        return seconds


def _name(process: psutil.Process) -> str:
    """Return which of the processes of its server this is."""
    if name := process.environ().get("DATABENCH_NAME"):
        return name.partition("-")[0]
    command = process.cmdline()
    if "databench" in command:
        return "supervisor"
    # The bare chain calls its processes by their roles, except for the first.
    return next((role for role in ("broker", "runner") if role in command), "server")
