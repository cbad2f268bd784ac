"""Signals from a handler to one page, and round trips, through all services."""

import asyncio
import statistics
import time
from pathlib import Path

from benchmarks.table import show
from databench.testing import Page
from tests.e2e.server import Server

NUMBER, TRIPS, RUNS = 20_000, 500, 5


def main() -> None:
    """Measure both some times."""
    with Server(Path(__file__).parent / "probes", "--no-reload", "--workers", "0") as server:
        rates, trips = asyncio.run(_measure(server.url))
    trips.sort()
    rows = [
        [f"{NUMBER:,} signals of 30 bytes to one page, in order", f"{statistics.median(rates):,.0f}/s"],
        ["round trip, median", f"{statistics.median(trips) * 1e3:.2f} ms"],
        ["round trip, 99th percentile", f"{trips[int(len(trips) * 0.99)] * 1e3:.2f} ms"],
    ]
    show("Signals", ["", ""], rows)


async def _measure(url: str) -> tuple[list[float], list[float]]:
    rates, trips = [], []
    async with Page(url, "bench") as page:
        for _ in range(RUNS):
            start = time.perf_counter()
            await page.emit("flood", NUMBER)
            for _ in range(NUMBER):
                await page.receive("status")
            rates.append(NUMBER / (time.perf_counter() - start))
            for number in range(TRIPS):
                start = time.perf_counter()
                await page.emit("echo", number)
                await page.receive("echo")
                trips.append(time.perf_counter() - start)
    return rates, trips
