"""The measurements, one for each case: each uses a running pool and returns its figures by name."""

import math
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.chunks.contract import Pool
from benchmarks.chunks.workload import inside, nap, noop, recorded, same

ITEMS, SINGLES, FIRSTS = 100_000, 5_000, 300
SECONDS = 2.0
"""How long a slow peer's single tasks are to take; it gets fewer of them."""
REPEATS, LONG_ENOUGH = 7, 1.0
"""What is quick is measured again, up to so often, until so many seconds have passed."""
JOBS, DRAWS = 100, 100
SMALL_JOBS, FEW_DRAWS = 1_000, 10
CHUNKS, CHUNK_DRAWS = 64, 2_000_000
ARRAYS, ELEMENTS = 50, 1_000_000
STEPS, STEPS_BEFORE = 200, 60
"""Tasks of which some process is killed, and results that come before that."""


def items(pool: Pool) -> dict[str, float]:
    """No-op items, mapped without options and in the best batches."""
    _warm(pool)
    plain = min(ITEMS, int(pool.pace * SECONDS))
    return {
        "plain": _rate(lambda: _every(pool.map(noop, range(plain)), plain), plain),
        "batches": _rate(lambda: _every(pool.batched(noop, range(ITEMS)), ITEMS), ITEMS),
    }


def singles(pool: Pool) -> dict[str, float]:
    """No-op tasks, handed in one by one, then taken; and each awaited before the next."""
    _warm(pool)
    number = min(SINGLES, int(pool.pace * SECONDS))

    def submit_all() -> None:
        waiting = [pool.submit(noop, index) for index in range(number)]
        _every((result() for result in waiting), number)

    return {"rate": _rate(submit_all, number), "first": _first(pool, min(FIRSTS, number)) * 1e3}


def _first(pool: Pool, number: int) -> float:
    times = []
    for index in range(number):
        begun = time.perf_counter()
        pool.submit(noop, index)()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def slowpi(pool: Pool) -> dict[str, float]:
    """Sleeping draws: few long jobs beside rounds of the same job alone, and many short ones beside their sleep."""
    _warm(pool)
    alone = [nap(DRAWS)]
    begun = time.perf_counter()
    _drain(pool.map(nap, [DRAWS] * JOBS))
    passed = time.perf_counter() - begun
    alone.append(nap(DRAWS))
    rounds = math.ceil(JOBS / pool.slots)
    begun = time.perf_counter()
    slept = sum(_all(pool.map(nap, [FEW_DRAWS] * SMALL_JOBS)))
    return {
        "jobs": passed / (rounds * statistics.mean(alone)),
        "small": (time.perf_counter() - begun) * pool.slots / slept,
    }


def draws(pool: Pool) -> dict[str, float]:
    """Draws by numpy: the serial time, taken half before and half after, by slots, beside that of the pool."""
    jobs = [(CHUNK_DRAWS, seed) for seed in range(CHUNKS)]
    _warm(pool)
    _drain(pool.map(inside, jobs[: 2 * pool.slots]))

    def serial(part: list[tuple[int, int]]) -> tuple[int, float]:
        begun = time.perf_counter()
        return sum(map(inside, part)), time.perf_counter() - begun

    first, before = serial(jobs[: CHUNKS // 2])
    begun = time.perf_counter()
    total = sum(_all(pool.map(inside, jobs)))
    passed = time.perf_counter() - begun
    second, after = serial(jobs[CHUNKS // 2 :])
    if total != first + second:
        raise ValueError(f"{total} draws of the pool's lie inside, {first + second} of the serial ones")
    return {"of_ideal": (before + after) / pool.slots / passed}


def arrays(pool: Pool) -> dict[str, float]:
    """Arrays of 8 MB to tasks and back: megabytes a second, both ways together."""
    given = [np.full(ELEMENTS, float(index)) for index in range(ARRAYS)]
    _warm(pool)
    _drain(pool.completed(same, given[: 2 * pool.slots]))

    def there_and_back() -> None:
        came = set()
        for array in _all(pool.completed(same, given)):
            if array.shape != (ELEMENTS,) or array[0] != array[-1]:
                raise ValueError("an array is not as it was sent")
            came.add(int(array[ELEMENTS // 2]))
        if len(came) != ARRAYS:
            raise ValueError(f"{len(came)} of {ARRAYS} arrays came back")

    return {"rate": _rate(there_and_back, ARRAYS) * 2 * 8 * ELEMENTS / 1e6}


def lost_slot(pool: Pool) -> dict[str, float]:
    """What becomes of tasks of 20 ms when the process that runs one of them is killed."""
    return _lost(pool, lambda slot: slot)


def lost_worker(pool: Pool) -> dict[str, float]:
    """The same when a whole worker is killed, all its processes together."""
    return _lost(pool, pool.worker_of)


def _lost(pool: Pool, to_kill: Callable[[int], int]) -> dict[str, float]:
    _warm(pool)
    with tempfile.TemporaryDirectory() as directory:
        notes = Path(directory) / "notes"
        came: dict[int, float] = {}
        stall, last = 0.0, time.monotonic()
        try:
            for result in pool.completed(recorded, [(str(notes), number) for number in range(STEPS)]):
                now = time.monotonic()
                stall, last = max(stall, now - last) if came else stall, now
                if isinstance(result, Exception):
                    continue
                if result in came:
                    raise ValueError(f"result {result} came twice")
                came[result] = now
                if len(came) == STEPS_BEFORE:
                    os.kill(to_kill(_running(notes)), signal.SIGKILL)
                    stall, last = 0.0, time.monotonic()
        except TimeoutError:
            stall = max(stall, time.monotonic() - last)
        done = [number for what, number, _, _ in _read(notes) if what == "done"]
        delivered = [
            what for what, number, _, then in _read(notes) if what == "begun" and then > came.get(number, then)
        ]
    return {"came": len(came), "stall": stall * 1e3, "again": len(done) - len(set(done)), "delivered": len(delivered)}


def _read(notes: Path) -> Iterator[tuple[str, int, int, float]]:
    """Give what was noted: what, of which task, in which process, when."""
    for line in notes.read_text().splitlines():
        what, number, process, then = line.split()
        yield what, int(number), int(process), float(then)


def _running(notes: Path) -> int:
    """Return the process that runs the task that was begun last of those that are not done, once there is one."""
    running: dict[int, int] = {}
    while not running:
        for what, number, process, _ in _read(notes):
            if what == "begun":
                running[number] = process
            else:
                running.pop(number, None)
    return list(running.values())[-1]


def _warm(pool: Pool) -> None:
    """Have every slot do something, and the pool do what it does once."""
    _drain(pool.map(nap, [FEW_DRAWS] * 4 * pool.slots))
    _every(pool.batched(noop, range(10 * pool.slots)), 10 * pool.slots)
    _first(pool, 5 * pool.slots)


def _all(results: Iterable[Any]) -> Iterator[Any]:
    """Give the results; raises what came in place of one."""
    for result in results:
        if isinstance(result, Exception):
            raise result
        yield result


def _drain(results: Iterable[Any]) -> None:
    """Wait for all results."""
    for _ in _all(results):
        pass


def _every(results: Iterable[Any], number: int) -> None:
    """Take the results of no-op tasks; raises ValueError where some are missing."""
    if (total := sum(_all(results))) != number * (number - 1) // 2:
        raise ValueError(f"the results of {number} items have the sum {total}")


def _rate(run: Callable[[], None], number: int) -> float:
    """Return how many of so many things a run does in a second: the median of some runs."""
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < LONG_ENOUGH:
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return number / statistics.median(times)


MEASURES: dict[str, Callable[[Pool], dict[str, float]]] = {
    "items": items,
    "singles": singles,
    "slowpi": slowpi,
    "draws": draws,
    "arrays": arrays,
    "slot": lost_slot,
    "worker": lost_worker,
}
