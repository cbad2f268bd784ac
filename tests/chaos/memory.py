"""How much memory processes have for themselves, now and at its highest meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from tests.chaos.cluster import Cluster

MIB = 2**20
INTERVAL = 0.02
"""Seconds between two looks."""


def used(process: psutil.Process) -> float:
    """Return the MiB that only this process has (unique set size)."""
    return float(process.memory_full_info().uss) / MIB


@contextmanager
def peaks(cluster: Cluster, names: Sequence[str]) -> Iterator[dict[str, float]]:
    """Look on; by name of the service, the highest growth in MiB until the end of the block."""
    processes = {name: cluster.process(name) for name in names}
    before = {name: used(process) for name, process in processes.items()}
    growth = dict.fromkeys(names, 0.0)
    over = threading.Event()

    def look() -> None:
        while not over.wait(INTERVAL):
            for name, process in processes.items():
                growth[name] = max(growth[name], used(process) - before[name])

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield growth
    finally:
        over.set()
        looking.join()
