"""Find \\(\\pi\\) in random walks, which workers of [Celery](https://docs.celeryq.dev) take for you.

Who takes \\(n\\) steps of length one, each in any direction, ends at a distance that is
\\(\\tfrac12\\sqrt{\\pi n}\\) on average. RabbitMQ brings the tasks to the workers, and the walks back.
"""

from contextlib import closing
from importlib.util import find_spec

import numpy as np

import databench

INSTALLED = find_spec("celery") is not None
if INSTALLED:
    from . import tasks

celerypi = databench.Analysis("celerypi", __name__, grace=10)
celerypi.title = "π with Celery and RabbitMQ"
celerypi.description = __doc__
celerypi.show_in_index = INSTALLED and tasks.reachable()

TASKS, WALKS, STEPS = 100, 500, 1_000


@celerypi.signals.on("run", policy="restart")
def run(session: databench.Session) -> None:
    """Have the workers walk, and tell the page of each task as it comes back."""
    session.emit("begun")
    missing = tasks.missing() if INSTALLED else "Celery is missing: pip install celery"
    session.state.update(done=0, of=TASKS, steps=STEPS, missing=missing)
    if not (INSTALLED and tasks.reachable()):
        return
    seed = int(np.random.default_rng().integers(2**31))
    distance = 0.0
    with closing(tasks.spread([(WALKS, STEPS, seed + n) for n in range(TASKS)], session.check)) as results:
        for done, result in enumerate(results, start=1):
            distance += result["distance"]
            mean = distance / (done * WALKS)
            session.emit("path", np.array(result["path"], np.float32))
            session.state.update(done=done, missing="", walks=done * WALKS, mean=mean, pi=4 * mean**2 / STEPS)
