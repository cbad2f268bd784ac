"""Runs the cases, the peers interleaved, and prints one table: `scripts/bench signals [--rounds N] [--cases A,B]`."""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmarks.signals import environments, servers
from benchmarks.signals.bench import OTHERS
from benchmarks.signals.cases import CASES, Figure
from benchmarks.signals.servers import DATABENCH, PEERS
from benchmarks.table import show

ROUNDS = 5
LONG_ROUNDS = 3
"""A long case is run once for so many rounds, and at least once."""
PATIENCE = 60.0
"""Seconds that a client may take, its start included."""


@dataclass
class Measured:
    """What one case gave, of all peers and rounds."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """By figure and peer."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why a peer has none."""
    cpu: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(float)))
    """By peer, the seconds that its processes computed."""
    units: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    """By peer, for how many signals and in which time that was."""

    def add(self, peer: str, done: dict[str, Any]) -> None:
        """Take in what a client printed."""
        for figure, value in done["figures"].items():
            self.values[figure, peer].append(value)
        for process, seconds in done["cpu"].items():
            self.cpu[peer][process] += seconds
        self.units[peer] += done["units"]
        self.seconds[peer] += done["seconds"]

    def row(self, name: str, figure: Figure, peers: Sequence[str]) -> list[str]:
        """Return the row of a figure."""
        verdicts = [aim.verdict(self.values, name, DATABENCH) for aim in figure.aims]
        return [
            figure.title,
            *(self._cell(name, figure.form, peer) for peer in peers),
            "; ".join(filter(None, verdicts)),
        ]

    def _cell(self, name: str, form: str, peer: str) -> str:
        if peer in self.failures:
            return f"cannot: {self.failures[peer]}"
        values = self.values[name, peer]
        return form.format(statistics.median(values)) if values else "–"

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
    arguments = _arguments(options)
    for peer in arguments.peers:
        if peer in environments.PINNED:
            environments.python(peer)
    load = os.getloadavg()
    done = {case: _run(case, arguments.peers, arguments.rounds) for case in arguments.cases}
    rows = [
        measured.row(name, figure, arguments.peers)
        for case, measured in done.items()
        for name, figure in CASES[case].figures.items()
    ]
    show("Signals", ["", *(PEERS[peer].title for peer in arguments.peers), "aim"], rows)
    print(f"\nLoad of the machine before: {load[0]:.1f}, for 5 minutes {load[1]:.1f}, of {os.cpu_count()} cores")  # noqa: T201
    if arguments.profile:
        head = ["case", "peer", "passed", "computed", "by process", "others, of one core"]
        show("Microseconds for each signal", head, [row for case in done for row in done[case].computed(case)])


def _arguments(options: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench signals", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of the short cases ({ROUNDS})")
    parser.add_argument("--cases", default=",".join(CASES), help=f"some of {','.join(CASES)}")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"some of {','.join(PEERS)}")
    parser.add_argument("--profile", action="store_true", help="print also how long each process computed")
    arguments = parser.parse_args(options)
    for chosen, known in (("cases", CASES), ("peers", PEERS)):
        names = getattr(arguments, chosen).split(",")
        if unknown := set(names) - set(known):
            parser.error(f"{', '.join(unknown)}: choose from {', '.join(known)}")
        setattr(arguments, chosen, names)
    return arguments


def _run(name: str, peers: Sequence[str], rounds: int) -> Measured:
    """Measure a case with fresh servers."""
    case, measured = CASES[name], Measured()
    peers = [peer for peer in peers if name not in PEERS[peer].without]
    rounds = max(1, rounds // LONG_ROUNDS) if case.long else rounds
    with ExitStack() as stack:
        started = {peer: stack.enter_context(servers.running(peer)) for peer in peers}
        for number in range(rounds):
            # Each peer comes first in some round, so that none is always after the same one.
            first = number % len(peers) if peers else 0
            for peer in [*peers[first:], *peers[:first]]:
                try:
                    done = _measure(peer, started[peer], name)
                    measured.add(peer, done)
                    told = done["figures"]
                except RuntimeError as error:
                    told = measured.failures[peer] = str(error)
                print(f"{name} {number + 1}/{rounds} {peer}: {told}", file=sys.stderr, flush=True)  # noqa: T201
    return measured


def _measure(peer: str, server: tuple[int, int], case: str) -> dict[str, Any]:
    """Return what a client of its own process measures; raises RuntimeError with the reason where it cannot."""
    command = [sys.executable, "-m", "benchmarks.signals.client", PEERS[peer].protocol, *map(str, server), case]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(error.stderr.strip().rpartition("\n")[2] or "it failed") from None
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not within {PATIENCE:g} s") from None
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed
