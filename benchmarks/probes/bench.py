"""Handlers without any work of their own, and slowpi's task."""

import time

import databench

bench = databench.Analysis("bench", __name__)
bench.show_in_index = False

DRAWS = 100


@databench.task
def nap(_: int) -> float:
    """Sleep a millisecond for each of 100 draws; return how long that took."""
    start = time.perf_counter()
    for _draw in range(DRAWS):
        time.sleep(0.001)
    return time.perf_counter() - start


@bench.signals.on("slowpi")
def slowpi(jobs: int) -> None:
    start = time.perf_counter()
    sleeps = list(databench.map(nap, range(jobs)))
    bench.signals.emit("slept", {"seconds": time.perf_counter() - start, "sleeps": sleeps})
