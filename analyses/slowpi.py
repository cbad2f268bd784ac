"""Estimate \\(\\pi\\) slowly, and let many workers help.

Every draw takes a millisecond, so 10,000 of them take ten seconds; spread over
\\(n\\) processes of workers in 100 jobs, they take \\(10/n\\) seconds.
"""

import random
import time
from collections import Counter

import databench

slowpi = databench.Analysis("slowpi", __name__)
slowpi.title = "π, slowly, in parallel"
slowpi.description = __doc__
slowpi.thumbnail = "slowpi.png"

JOBS, DRAWS = 100, 100


@databench.task
def throw(draws: int, seed: int) -> tuple[int, str]:
    """Return how many random points fell inside the quarter circle, and which worker has drawn them."""
    generator = random.Random(seed)
    inside = 0
    for _ in range(draws):
        time.sleep(0.001)
        inside += generator.random() ** 2 + generator.random() ** 2 < 1
    return inside, databench.worker_name()


@slowpi.signals.on("connect")
@slowpi.signals.on("run")
def run() -> None:
    """Spread the jobs over the workers, and tell the page of each one as it comes back."""
    seed = random.randrange(2**32)
    start = time.perf_counter()
    inside = 0
    chunks: Counter[str] = Counter()
    slowpi.signals.emit("status", {"done": 0, "jobs": JOBS, "seconds": 0.0, "chunks": {}})
    for done, (hits, worker) in enumerate(databench.map(throw, [DRAWS] * JOBS, range(seed, seed + JOBS)), start=1):
        inside += hits
        chunks[worker] += 1
        status = {
            "pi-estimate": 4 * inside / (done * DRAWS),
            "done": done,
            "jobs": JOBS,
            "seconds": time.perf_counter() - start,
            "worker": worker,
            "chunks": dict(chunks),
        }
        slowpi.signals.emit("status", status)
