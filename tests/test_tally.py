"""What pages are told of jobs: added up by signal, from any thread, and how they ended until the next one begins."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest

import databench
from databench.engines.local import LocalEngine
from databench.errors import AnalysisError
from databench.jobs import JobScope
from databench.progress import Progress
from databench.session import Session
from databench.state import State
from databench.tally import Tally
from tests.author import Live


@databench.task
def negative(number: int) -> int:
    return -number


holding, seen = threading.Event(), threading.Event()


@databench.task
def held(number: int) -> int:
    """Return when the test has seen that it runs."""
    holding.set()
    seen.wait(10)
    return number


@databench.task
def fails_at(number: int, at: int) -> int:
    if number == at:
        raise ValueError(number)
    return number


def far(
    done: int, total: int | None, remaining: float | None = 1.0, failed: int = 0, *, over: bool = False
) -> Progress:
    return Progress(done, 1, failed, total, 2.0, remaining, 3.0, over)


def test_jobs_of_a_signal_are_added_up_until_all_are_over_and_then_stay_as_they_ended() -> None:
    state = State("progress")
    tally = Tally(state)
    tally.report("run", "a", far(1, 10))
    tally.report("run", "b", far(4, 20, remaining=5.0, failed=1))
    tally.report("other", "c", far(1, 1))
    assert state["run"] == Progress(5, 2, 1, 30, 4.0, 5.0, 3.0)
    tally.report("run", "a", far(10, 10, over=True))
    tally.report("run", "a", None)
    assert (state["run"].done, state["run"].over) == (14, False), "what is over counts as long as others go on"
    tally.report("run", "b", far(5, 20, over=True))
    tally.report("run", "b", None)
    assert (state["run"].done, state["run"].total, state["run"].over) == (15, 30, True)
    tally.report("other", "never begun", None)
    assert not state["other"].over
    tally.report("run", "d", far(0, 7))
    assert (state["run"].total, state["run"].over) == (7, False)


def test_what_nobody_knows_of_one_nobody_knows_of_all() -> None:
    state = State("progress")
    tally = Tally(state)
    tally.report("run", "a", far(1, 10))
    tally.report("run", "b", far(4, None, remaining=None))
    assert (state["run"].total, state["run"].remaining) == (None, None)


async def test_pages_are_told_how_far_the_jobs_of_a_handler_are(pi: databench.Analysis, live: Live) -> None:
    promised: SimpleQueue[Callable[[], None]] = SimpleQueue()
    """What is to be told a moment later."""
    engine = LocalEngine()
    live.handling.scope = lambda check, report: JobScope(
        engine, check, progress=report, later=lambda _, tell: promised.put(tell)
    )

    @pi.signals.on("plain")
    def plain(session: Session) -> None:
        results = session.map(negative, range(3), ordered=True).result()
        results += [session.submit(held, 3).result(), *session.starmap(held, [(4,), (5,)], ordered=True)]
        session.emit("results", results)

    told: list[Progress] = []

    def note() -> None:
        told.append(live.session.progress["plain"])
        seen.set()

    seen.clear()
    holding.clear()
    live.session.progress.watch(note)
    live.send("plain")
    await asyncio.to_thread(holding.wait)
    promised.get()()
    assert await live.get("results") == [[0, -1, -2, 3, 4, 5]]
    await live.idle()
    while not promised.empty():
        promised.get()()
    engine.close()
    assert (told[0].total, told[0].over) == (1, False), "the first job was over too soon to be seen"
    assert told[-1].over
    assert told[-1].done == told[-1].total


async def test_pages_are_told_how_far_a_job_came_that_was_cancelled_or_failed(
    pi: databench.Analysis, live: Live
) -> None:
    @pi.signals.on("cancelled")
    def cancelled(session: Session) -> None:
        for _ in session.map(negative, range(100_000), chunk=1):
            session.emit("begun")
            databench.sleep(3600)

    @pi.signals.on("failed")
    def failed(session: Session) -> None:
        session.map(fails_at, range(100_000), [3] * 100_000, chunk=1).result()

    live.send("cancelled")
    live.send("failed")
    await live.get("begun")
    live.session.cancel("cancelled")
    await live.get("error")
    await live.idle()
    for signal, failures in [("cancelled", 0), ("failed", 1)]:
        progress = live.session.progress[signal]
        assert progress.over
        assert progress.done < progress.total == 100_000
        assert progress.failed == failures


async def test_jobs_of_a_session_are_begun_in_its_handlers_only(pi: databench.Analysis, live: Live) -> None:
    with pytest.raises(AnalysisError, match=r"session\.map was called outside of a handler of that session"):
        live.session.map(negative, [1])
