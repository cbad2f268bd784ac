"""How far the jobs are that the handlers of each signal have begun, added up, for the pages of their session.

How they ended stays until the next one begins.

Owns the sums. What a job reports, and how often, is `progress`'s business; who is told, the state's.
"""

import threading

from databench.progress import Progress
from databench.state import State


class Tally:
    """Keeps `state` in step with the jobs of one session, by signal. From any thread."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._jobs: dict[str, dict[str, Progress]] = {}
        """By signal and name of a scope, as long as one of its jobs lives: how far they are."""
        self._live: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def report(self, signal: str, scope: str, progress: Progress | None) -> None:
        """Take what the jobs of a scope report; None when all are over."""
        with self._lock:
            jobs, live = self._jobs.setdefault(signal, {}), self._live.setdefault(signal, set())
            if progress is not None:
                jobs[scope] = progress
                live.add(scope)
                self._state[signal] = added(list(jobs.values()))
                return
            live.discard(scope)
            if not live:
                # What is over counts as long as others go on, so that the sum does not jump back.
                del self._jobs[signal], self._live[signal]


def added(jobs: list[Progress]) -> Progress:
    """Return how far several jobs are together: the slowest says when all are done."""
    totals = [job.total for job in jobs]
    remaining = [job.remaining for job in jobs]
    return Progress(
        done=sum(job.done for job in jobs),
        running=sum(job.running for job in jobs),
        failed=sum(job.failed for job in jobs),
        total=None if None in totals else sum(total for total in totals if total is not None),
        rate=sum(job.rate for job in jobs),
        remaining=None if None in remaining else max(each for each in remaining if each is not None),
        elapsed=max(job.elapsed for job in jobs),
        over=all(job.over for job in jobs),
    )
