"""From `databench` to a page that answers, to its end, and what each process takes when idle."""

import statistics
import time
import urllib.request
from pathlib import Path

import psutil

from benchmarks.table import show
from tests.e2e.server import Server

GALLERY = Path(__file__).parents[1] / "analyses"
RUNS = 5


def main() -> None:
    """Start the gallery some times."""
    printed, answered, stopped = [], [], []
    memory: dict[str, list[float]] = {}
    for _ in range(RUNS):
        start = time.perf_counter()
        with Server(GALLERY) as server:
            printed.append(time.perf_counter() - start)
            with urllib.request.urlopen(f"{server.url}/simplepi/") as page:
                page.read()
            answered.append(time.perf_counter() - start)
            for process in server.everybody:
                memory.setdefault(_name(process), []).append(_private(process))
            begun = time.perf_counter()
            server.stop()
            stopped.append(time.perf_counter() - begun)
    show(
        "Start",
        ["", "median of 5"],
        [
            ["`databench` to the URL printed", f"{statistics.median(printed):.2f} s"],
            ["`databench` to a page that has answered", f"{statistics.median(answered):.2f} s"],
            ["SIGTERM to the end of the last process", f"{statistics.median(stopped):.2f} s"],
        ],
    )
    rows = [[name, f"{statistics.median(values):.0f} MB"] for name, values in memory.items()]
    show("Memory when idle, without what is shared between processes", ["process", "USS"], rows)


def _name(process: psutil.Process) -> str:
    if any("nursery" in part for part in process.cmdline()):
        parent = process.parent()
        in_nursery = parent is not None and any("nursery" in part for part in parent.cmdline())
        return "slot" if in_nursery else "worker: nursery"
    return process.environ().get("DATABENCH_NAME", "supervisor").partition("-")[0]


def _private(process: psutil.Process) -> float:
    return float(process.memory_full_info().uss) / 1e6
