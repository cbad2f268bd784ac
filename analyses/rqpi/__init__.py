"""Measure \\(\\pi\\) with a pendulum, and let workers of [Redis Queue](https://python-rq.org) say how sure it is.

A pendulum of length \\(L\\) swings in \\(T = 2\\pi\\sqrt{L/g}\\). A dozen swings, timed by hand, give an estimate.
Drawing a dozen of these measurements again, some twice and some not at all, gives another one, and doing so
thousands of times shows how far to trust the first: the *bootstrap*.
"""

from contextlib import closing
from importlib.util import find_spec

import numpy as np

import databench

INSTALLED = find_spec("rq") is not None
if INSTALLED:
    from . import jobs

rqpi = databench.Analysis("rqpi", __name__, grace=10)
rqpi.title = "π with Redis Queue"
rqpi.description = __doc__
rqpi.show_in_index = INSTALLED and jobs.reachable()

JOBS, TIMES = 40, 250


def measure() -> tuple[list[float], list[float]]:
    """Return the lengths of a dozen pendulums in metres and their periods in seconds, a little wrong."""
    random = np.random.default_rng()
    lengths = np.linspace(0.15, 1.25, 12)
    periods = 2 * np.pi * np.sqrt(lengths / 9.81) + random.normal(0, 0.07, 12)
    return lengths.round(3).tolist(), periods.round(2).tolist()


@rqpi.signals.on("run", policy="restart")
def run(session: databench.Session) -> None:
    """Measure, have the workers draw again from what was measured, and tell the page of each job's estimates."""
    lengths, periods = measure()
    session.emit("measured", {"lengths": lengths, "periods": periods})
    session.state.update(done=0, of=JOBS, missing=jobs.missing() if INSTALLED else "RQ is missing: pip install rq")
    if not (INSTALLED and jobs.reachable()):
        return
    seed = int(np.random.default_rng().integers(2**31))
    estimates = np.empty(0)
    with closing(jobs.spread([(lengths, periods, TIMES, seed + n) for n in range(JOBS)], session.check)) as results:
        for done, (worker, new) in enumerate(results, start=1):
            estimates = np.append(estimates, new)
            low, middle, high = np.percentile(estimates, [2.5, 50, 97.5])
            session.emit("estimates", {"worker": worker, "pi": np.array(new, np.float32)})
            session.state.update(done=done, missing="", low=low, pi=middle, high=high, drawn=estimates.size)
