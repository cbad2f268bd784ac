"""slowpi on 12 slots against its floor: 100 jobs on 12 slots take nine rounds of 100 sleeps."""

import asyncio
import math
import statistics
import time
from pathlib import Path

from benchmarks.table import show
from databench.testing import Page
from tests.e2e.server import Server

JOBS, SLOTS, SLEEPS, RUNS = 100, 12, 100, 5
ROUNDS = math.ceil(JOBS / SLOTS)


def main() -> None:
    """Run it some times, interleaved with sleeping alone."""
    with Server(Path(__file__).parent / "probes", "--slots", str(SLOTS), "--no-reload") as server:
        alone, inside, whole = asyncio.run(_measure(server.url))
    rows = [
        ["100 sleeps of 1 ms, alone", f"{alone * 1e3:.1f} ms", ""],
        ["100 sleeps of 1 ms, inside the jobs", f"{inside * 1e3:.1f} ms", ""],
        [f"slowpi, {JOBS} jobs on {SLOTS} slots", f"{whole:.3f} s", f"{whole / (ROUNDS * alone):.3f} × the floor"],
    ]
    show("slowpi", ["", "median of 5", ""], rows)


async def _measure(url: str) -> tuple[float, float, float]:
    alone, inside, whole = [], [], []
    async with Page(url, "bench") as page:
        for _ in range(RUNS):
            start = time.perf_counter()
            await asyncio.to_thread(_sleep)
            alone.append(time.perf_counter() - start)
            await page.emit("slowpi", JOBS)
            slept = (await page.receive("slept", within=120)).payload
            whole.append(slept["seconds"])
            inside += slept["sleeps"]
    return statistics.median(alone), statistics.median(inside), statistics.median(whole)


def _sleep() -> None:
    for _ in range(SLEEPS):
        time.sleep(0.001)
