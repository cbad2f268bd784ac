"""One measurement: starts the pool of a peer, runs a case and prints as JSON its figures, or the failure.

python -m benchmarks.chunks.client PEER CASE WORKERS SLOTS LOSSLESS
"""

import importlib
import json
import signal
import sys

from benchmarks.chunks.contract import Pool
from benchmarks.chunks.measures import MEASURES

POOLS = {
    "executor": "ExecutorPool",
    "dask": "DaskPool",
    "ray": "RayPool",
    "ipyparallel": "IpyparallelPool",
    "celery": "CeleryPool",
    "rq": "RQPool",
}
"""By the module of `peers` that has it."""


def measured(peer: str, case: str, workers: int, slots: int, lossless: bool) -> dict[str, float]:
    """Return the figures."""
    kind: type[Pool] = getattr(importlib.import_module(f"benchmarks.chunks.peers.{peer}"), POOLS[peer])
    with kind(workers, slots, lossless) as pool:
        return MEASURES[case](pool)


if __name__ == "__main__":
    # Ends the pool, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    peer, case, workers, slots, lossless = sys.argv[1:]
    try:
        answer: dict[str, object] = {"figures": measured(peer, case, int(workers), int(slots), lossless == "True")}
    except Exception as error:
        # Told in order: what complains while the interpreter ends would be its last word otherwise.
        answer = {"failure": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer))  # noqa: T201
