"""Find \\(\\pi\\) in the Mandelbrot set, with the processes of a `ProcessPoolExecutor`.

At the neck of the set, \\(c = -\\tfrac34 + \\varepsilon i\\), the iteration \\(z \\to z^2 + c\\) takes \\(n\\) steps to
leave the circle of radius 2, and \\(n\\,\\varepsilon\\) comes close to \\(\\pi\\) as \\(\\varepsilon\\) gets small.
Click into the picture to look closer: what the pool has not begun yet is forgotten then.
"""

import asyncio
import functools
import math
import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Annotated, Any

import numpy as np
from pydantic import Field

import databench

poolpi = databench.Analysis("poolpi", __name__, grace=10)
poolpi.title = "π with a process pool"
poolpi.description = __doc__
poolpi.thumbnail = "poolpi.png"

TILES, SIDE, LIMIT = 8, 64, 1_000
DIGITS = 6
PLACES = sorted(np.ndindex(TILES, TILES), key=lambda place: math.dist(place, (3.5, 3.5)))
"""Rows and columns, from the middle outwards."""

Told = tuple[str, dict[str, Any]]
"""What a process of the pool returns: a signal for the page, and its payload."""


def tile(place: tuple[int, ...], left: float, top: float, step: float) -> Told:
    """Count the steps after which each point of a square leaves the circle; 0 where it stays within the limit."""
    row, column = place
    x = left + step * (SIDE * column + np.arange(SIDE))
    y = top - step * (SIDE * row + np.arange(SIDE))
    c = (x + 1j * y[:, None]).ravel()
    z, inside, steps = c, np.arange(c.size), np.zeros(c.size, np.uint16)
    for n in range(1, LIMIT):
        gone = z.real**2 + z.imag**2 > 4
        steps[inside[gone]] = n
        z, c, inside = z[~gone], c[~gone], inside[~gone]
        z = z * z + c
    return "tile", {"row": row, "column": column, "steps": steps, "process": os.getpid()}


def neck(digits: int) -> Told:
    """Count the steps at a distance of 10 to the power of `-digits` from the neck."""
    z, c, n = 0j, complex(-0.75, 10**-digits), 0
    while abs(z) <= 2:
        z, n = z * z + c, n + 1
    return "neck", {"digits": digits, "steps": n}


def end_with_the_runner() -> None:
    """Watch the runner from a thread: if it is killed, the processes of its pool would stay."""
    runner = multiprocessing.parent_process()
    assert runner is not None

    def watch() -> None:
        runner.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@functools.cache
def pool() -> ProcessPoolExecutor:
    """Make the pool when it is first needed. All sessions share it.

    Its processes are spawned, since a runner has threads, which a forked process would not survive.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(min(os.cpu_count() or 1, 8), context, end_with_the_runner)


@poolpi.signals.on("run", policy="restart")
async def run(
    session: databench.Session,
    x: float = -0.6,
    y: float = 0.0,
    span: Annotated[float, Field(ge=1e-12, le=4)] = 2.6,
) -> None:
    """Have the pool compute a picture and the steps at the neck, and tell the page of each part as it comes."""
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    session.state.update(x=x, y=y, span=span, done=0, of=len(PLACES) + DIGITS)
    corner = (x - span / 2, y + span / 2, span / (TILES * SIDE))
    parts = [loop.run_in_executor(pool(), neck, digits) for digits in range(1, DIGITS + 1)]
    parts += [loop.run_in_executor(pool(), tile, place, *corner) for place in PLACES]
    try:
        for done, part in enumerate(asyncio.as_completed(parts), start=1):
            await session.emit(*await part)
            session.state.update(done=done, seconds=time.perf_counter() - start)
    except BrokenProcessPool:
        pool.cache_clear()
        raise
    finally:
        # What runs cannot be ended, so the parts are small; the others are not begun any more.
        for future in parts:
            future.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
