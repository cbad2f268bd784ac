"""Runs the cases, the peers interleaved, and prints one table: `scripts/bench signals [--rounds N] [--cases A,B]`."""

import argparse
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmarks.rounds import Measured, asked, choose, show_rows, unavailable
from benchmarks.signals.bench import OTHERS
from benchmarks.signals.cases import CASES
from benchmarks.signals.servers import PEERS, python, running
from benchmarks.table import show

LONG_ROUNDS = 3
"""A long case is run once for so many rounds, and at least once."""
PATIENCE = 60.0
"""Seconds that a client may take, its start included."""


@dataclass
class Computed(Measured):
    """What one case gave, and what the processes computed meanwhile."""

    cpu: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    """By peer, the seconds that its processes computed."""
    units: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By peer, for how many signals and in which time that was."""

    def add(self, peer: str, done: dict[str, Any]) -> None:
        """Take in what a client printed besides its figures."""
        for process, seconds in done["cpu"].items():
            self.cpu[peer][process] += seconds
        self.units[peer] += done["units"]
        self.seconds[peer] += done["seconds"]

    def computed(self, case: str) -> list[list[str]]:
        """Return a row for each peer: microseconds for each signal, of each process and in all that passed."""
        rows = []
        for peer, units in self.units.items():
            if units:
                cpu = {name: seconds / units * 1e6 for name, seconds in self.cpu[peer].items()}
                passed, others = self.seconds[peer] / units * 1e6, cpu.pop(OTHERS)
                parts = [f"{name} {value:.2f}" for name, value in cpu.items()]
                row = [f"{passed:.2f}", f"{sum(cpu.values()):.2f}", ", ".join(parts), f"{others / passed:.0%}"]
                rows.append([case, peer, *row])
        return rows


def main(options: Sequence[str] = ()) -> None:
    """Measure and print."""
    # Ends the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(prog="scripts/bench signals", description=__doc__)
    parser.add_argument("--profile", action="store_true", help="print also how long each process computed")
    chosen = choose(parser, options, CASES, PEERS)
    failures = unavailable(chosen.peers, python)
    load = os.getloadavg()
    done = {case: _run(case, chosen.peers, chosen.rounds, failures) for case in chosen.cases}
    rows = [
        measured.row(name, figure, chosen.peers)
        for case, measured in done.items()
        for name, figure in CASES[case].figures.items()
    ]
    show_rows("Signals", [PEERS[peer].title for peer in chosen.peers], rows, load)
    if chosen.profile:
        head = ["case", "peer", "passed", "computed", "by process", "others, of one core"]
        show("Microseconds for each signal", head, [row for case in done for row in done[case].computed(case)])


def _run(name: str, peers: Sequence[str], rounds: int, failures: Mapping[str, str]) -> Computed:
    """Measure a case with fresh servers."""
    case, measured = CASES[name], Computed(failures=dict(failures))
    peers = [peer for peer in peers if name not in PEERS[peer].without and peer not in failures]
    rounds = max(1, rounds // LONG_ROUNDS) if case.long else rounds
    with ExitStack() as stack:
        started = {peer: stack.enter_context(running(peer)) for peer in peers}

        def measure(peer: str) -> dict[str, Any]:
            client = [sys.executable, "-m", "benchmarks.signals.client", PEERS[peer].protocol]
            return asked([*client, *map(str, started[peer]), name], PATIENCE)

        for peer, done in measured.take_turns(name, peers, rounds, measure):
            measured.add(peer, done)
    return measured
