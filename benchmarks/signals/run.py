"""Runs the cases, the peers interleaved, and prints one table: `scripts/bench signals [--rounds N] [--cases A,B]`."""

import argparse
import json
import signal
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack

from benchmarks.signals import environments, servers
from benchmarks.signals.cases import CASES
from benchmarks.signals.servers import PEERS
from benchmarks.table import show

ROUNDS = 3
LONG_ROUNDS = 3
"""A long case is run once for so many rounds, and at least once."""
PATIENCE = 60.0
"""Seconds that a client may take, its start included."""

Figures = dict[tuple[str, str], list[float]]
"""The values of a figure, by the figure's name and the peer."""


def main(options: Sequence[str] = ()) -> None:
    """Measure and print."""
    # Ends the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(prog="scripts/bench signals", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of the short cases ({ROUNDS})")
    parser.add_argument("--cases", default=",".join(CASES), help=f"some of {','.join(CASES)}")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"some of {','.join(PEERS)}")
    arguments = parser.parse_args(options)
    cases, peers = arguments.cases.split(","), arguments.peers.split(",")
    for chosen, known in ((cases, CASES), (peers, PEERS)):
        if unknown := set(chosen) - set(known):
            parser.error(f"{', '.join(unknown)}: choose from {', '.join(known)}")
    for peer in peers:
        if peer in environments.PINNED:
            environments.python(peer)
    rows = [row for case in cases for row in _rows(case, peers, arguments.rounds)]
    show("Signals", ["", *(PEERS[peer].title for peer in peers)], rows)


def _rows(name: str, peers: Sequence[str], rounds: int) -> list[list[str]]:
    """Measure a case with fresh servers; return its rows of the table."""
    case = CASES[name]
    rounds = max(1, rounds // LONG_ROUNDS) if case.long else rounds
    values: Figures = defaultdict(list)
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        started = {peer: stack.enter_context(servers.running(peer)) for peer in peers}
        for number in range(rounds):
            for peer in peers:
                try:
                    measured = _measure(peer, started[peer], name)
                except RuntimeError as error:
                    failures[peer] = str(error)
                    measured = {}
                for figure, value in measured.items():
                    values[figure, peer].append(value)
                done = f"{name} {number + 1}/{rounds} {peer}: {measured or failures[peer]}"
                print(done, file=sys.stderr, flush=True)  # noqa: T201

    def cell(figure: str, form: str, peer: str) -> str:
        if peer in failures:
            return f"cannot: {failures[peer]}"
        return form.format(statistics.median(values[figure, peer]))

    return [[what, *(cell(figure, form, peer) for peer in peers)] for figure, (what, form) in case.figures.items()]


def _measure(peer: str, server: tuple[int, int], case: str) -> dict[str, float]:
    """Return what a client of its own process measures; raises RuntimeError with the reason where it cannot."""
    command = [sys.executable, "-m", "benchmarks.signals.client", PEERS[peer].protocol, *map(str, server), case]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(error.stderr.strip().rpartition("\n")[2] or "it failed") from None
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not within {PATIENCE:g} s") from None
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
