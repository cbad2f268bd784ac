"""What the slots of every peer do. Needs numpy: it is imported in all environments, and by all workers."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NAP = 0.001
"""Seconds that a draw of slowpi sleeps."""
STEP = 0.02
"""Seconds that a recorded task sleeps."""

Task = Callable[[Any], Any]


def noop(item: int) -> int:
    """Do nothing, but give back which item it was."""
    return item


def nap(draws: int) -> float:
    """Sleep for each draw, as slowpi does; return how long that took."""
    begun = time.perf_counter()
    for _ in range(draws):
        time.sleep(NAP)
    return time.perf_counter() - begun


def inside(job: tuple[int, int]) -> int:
    """Return how many of so many draws, with this seed, lie inside the circle."""
    draws, seed = job
    random = np.random.default_rng(seed)
    x, y = random.random(draws), random.random(draws)
    return int(np.count_nonzero(x * x + y * y <= 1.0))


def same(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give an array back."""
    return array


def recorded(step: tuple[str, int]) -> int:
    """Sleep, and note in the file of this name that this begins and ends, in which process and when."""
    file, number = step
    _note(file, "begun", number)
    time.sleep(STEP)
    _note(file, "done", number)
    return number


def batch(part: tuple[Task, Sequence[Any]]) -> list[Any]:
    """Run a task for some items: a batch made by hand."""
    task, items = part
    return [task(item) for item in items]


def _note(file: str, what: str, number: int) -> None:
    # One write to a file that is appended to: lines of several processes do not mix.
    with Path(file).open("ab", buffering=0) as notes:
        notes.write(f"{what} {number} {os.getpid()} {time.monotonic()}\n".encode())


TASKS: tuple[Task, ...] = (noop, nap, inside, same, recorded)
