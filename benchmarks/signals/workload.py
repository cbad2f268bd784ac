"""What the handlers of every peer emit. Needs only the standard library: it is imported in all environments.

The signals that each server handles: `echo` (answered with its payload; `echo_plain` in a thread), `flood` (number of
`status` signals), `publish` (number of `news` signals to all viewers), `large` and `binary` (number of signals of
100 kB), `compute` (seconds), `stream` (number of `tick` signals at RATE) and `press` (signals of 10 kB at full speed
for some seconds).
"""

import random
import time

RATE = 1_000
"""Signals a second of `stream`."""
STRIDE = 10
"""Signals of `stream` between two sleeps."""
MOST_PRESSED = 200_000
"""Signals after which `press` stops before its time: what waits in memory is bounded by this."""

_random = random.Random(1)
FLOATS = [_random.random() for _ in range(12_500)]
"""100 kB of float64."""
BINARY = _random.randbytes(100_000)
PRESSED = "x" * 10_000


def status(index: int) -> dict[str, object]:
    """Return a small payload, about 30 bytes."""
    return {"pi-estimate": 3.14159, "draws": index}


def compute(seconds: float) -> None:
    """Keep the interpreter busy."""
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        sum(number * number for number in range(1_000))


def until(begun: float, index: int) -> float:
    """Return the seconds to sleep before signal `index` of `stream`, which began at this `time.perf_counter()`."""
    return max(0.0, begun + index / RATE - time.perf_counter())
