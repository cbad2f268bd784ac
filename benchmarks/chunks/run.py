"""Runs the cases, the peers interleaved, and prints one table: `scripts/bench chunks [--rounds N] [--cases A,B]`."""

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import environments
from benchmarks.chunks import inside
from benchmarks.chunks.cases import CASES
from benchmarks.rounds import DATABENCH, Measured, asked, choose, show_rows, unavailable

PATIENCE = 120.0
"""Seconds that a measurement may take, the start of the pool included."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""What keeps numpy from computing in threads of its own beside the slots."""


@dataclass(frozen=True)
class Peer:
    """A peer: how it is called, what is installed for it, and the cases that it has no part in."""

    title: str
    pinned: tuple[str, ...] = ()
    without: frozenset[str] = frozenset({"worker"})


# Python and numpy are Databench's own, so that a peer does not differ by these.
NUMPY = "numpy==2.4.6"
PEERS = {
    "executor": Peer("ProcessPoolExecutor"),
    "dask": Peer("Dask", ("distributed==2026.8.0", NUMPY)),
    "ray": Peer("Ray", ("ray==2.60.0", NUMPY)),
    "ipyparallel": Peer("ipyparallel", ("ipyparallel==9.2.0", "ipykernel==7.4.0", NUMPY)),
    "celery": Peer("Celery + Redis", ("celery[redis]==5.7.0", "redis==8.1.0", NUMPY), without=frozenset()),
    "rq": Peer("RQ", ("rq==3.0.0", "redis==8.1.0", NUMPY), without=frozenset()),
    DATABENCH: Peer("**Databench**", without=frozenset()),
}


def main(options: Sequence[str] = ()) -> None:
    """Measure and print."""
    # Ends the pools, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = choose(argparse.ArgumentParser(prog="scripts/bench chunks", description=__doc__), options, CASES, PEERS)
    os.environ |= ONE_THREAD
    failures = unavailable(chosen.peers, _python)
    load = os.getloadavg()
    done = {case: _run(case, chosen.peers, chosen.rounds, failures) for case in chosen.cases}
    rows = [
        measured.row(name, figure, chosen.peers)
        for case, measured in done.items()
        for name, figure in CASES[case].figures.items()
    ]
    show_rows("Chunks", [PEERS[peer].title for peer in chosen.peers], rows, load)


def _python(peer: str) -> str:
    """Return the interpreter that runs a peer."""
    pinned = PEERS[peer].pinned
    return str(environments.python(peer, pinned)) if pinned else sys.executable


def _run(name: str, peers: Sequence[str], rounds: int, failures: Mapping[str, str]) -> Measured:
    """Measure a case, each time with a fresh pool."""
    case, measured = CASES[name], Measured(failures=dict(failures))
    peers = [peer for peer in peers if name not in PEERS[peer].without]

    def measure(peer: str) -> dict[str, Any]:
        if peer == DATABENCH:
            return inside.measured(name, case, PATIENCE)
        client = [_python(peer), "-m", "benchmarks.chunks.client", peer, name]
        return asked([*client, str(case.workers), str(case.slots), str(case.lossless)], PATIENCE)

    for _ in measured.take_turns(name, peers, rounds, measure):
        pass
    return measured
