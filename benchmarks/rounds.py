"""What benchmarks with peers share: figures, rounds in which the peers take turns, and a row for each figure."""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.aims import Aim
from benchmarks.environments import UnavailableError, last_line
from benchmarks.table import show

DATABENCH = "databench"
ROUNDS = 5
ENDING = 20.0
"""Seconds that a client may take to end its servers when it is told to end."""


@dataclass(frozen=True)
class Figure:
    """What a figure is, how it is written, and what Databench's is to reach."""

    title: str
    form: str
    aims: tuple[Aim, ...] = ()


@dataclass
class Measured:
    """What one case gave, of all peers and rounds."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """By figure and peer."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why a peer has none."""

    def take_turns(
        self, case: str, peers: Sequence[str], rounds: int, measure: Callable[[str], dict[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Measure the peers in turns; note the `figures` of what comes, and yield it with the peer's name."""
        for number in range(rounds):
            # Each peer comes first in some round, so that none is always after the same one.
            first = number % len(peers) if peers else 0
            for peer in [*peers[first:], *peers[:first]]:
                if peer in self.failures:
                    continue
                try:
                    done = measure(peer)
                    for figure, value in done["figures"].items():
                        self.values[figure, peer].append(value)
                    yield peer, done
                    told = done["figures"]
                except UnavailableError as error:
                    told = self.failures[peer] = str(error)
                print(f"{case} {number + 1}/{rounds} {peer}: {told}", file=sys.stderr, flush=True)  # noqa: T201

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


def unavailable(peers: Collection[str], prepare: Callable[[str], object]) -> dict[str, str]:
    """Return which peers cannot be prepared, such as installed, and why."""
    failures = {}
    for peer in peers:
        try:
            prepare(peer)
        except UnavailableError as error:
            failures[peer] = str(error)
    return failures


def asked(command: Sequence[str], patience: float, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what a process prints last, as JSON; raises UnavailableError with the reason where it does not in time."""
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        printed, complaints = client.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"not within {patience:g} s") from None
    finally:
        _end(client)
    if client.returncode:
        raise UnavailableError(last_line(complaints) or f"it ended with {client.returncode}")
    # What it uses may print, too, before it.
    answer: dict[str, Any] = json.loads(last_line(printed))
    if "failure" in answer:
        raise UnavailableError(answer["failure"])
    return answer


def _end(client: "subprocess.Popen[str]") -> None:
    """End a client that still runs, in a way that lets it end its own processes."""
    client.terminate()
    try:
        client.communicate(timeout=ENDING)
    except subprocess.TimeoutExpired:
        client.kill()
        client.communicate()


def choose(
    parser: argparse.ArgumentParser, options: Sequence[str], cases: Collection[str], peers: Collection[str]
) -> argparse.Namespace:
    """Return the options, with `rounds`, `cases` and `peers` among them."""

    def some_of(known: Collection[str]) -> Callable[[str], list[str]]:
        def names(text: str) -> list[str]:
            if unknown := set(chosen := text.split(",")) - set(known):
                raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(known)}")
            return chosen

        return names

    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of the short cases ({ROUNDS})")
    for name, known in (("cases", cases), ("peers", peers)):
        parser.add_argument(f"--{name}", type=some_of(known), default=list(known), help=f"some of {','.join(known)}")
    return parser.parse_args(options)


def show_rows(
    title: str, peers: Sequence[str], rows: Iterable[Sequence[str]], load: tuple[float, float, float]
) -> None:
    """Print the figures of all peers, and how busy the machine was when they were begun."""
    show(title, ["", *peers, "aim"], rows)
    print(f"\nLoad of the machine before: {load[0]:.1f}, for 5 minutes {load[1]:.1f}, of {os.cpu_count()} cores")  # noqa: T201
