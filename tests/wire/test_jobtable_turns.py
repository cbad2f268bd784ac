"""The job table: who is next, and who gets chunks before they are idle."""

from collections import Counter

import pytest

from databench.wire.chunks import Failure
from databench.wire.jobevents import (
    Assign,
    ChunkDone,
    ChunkFailed,
    ChunkReturned,
    Fail,
    Instruction,
    Submitted,
    WorkerGone,
    WorkerJoined,
)
from databench.wire.jobstate import AHEAD, AHEAD_BYTES
from databench.wire.jobtable import JobTable
from tests.wire.table import after, assigned, submitted


def turns(table: JobTable, seconds: dict[str, float], count: int) -> list[str]:
    """Let one slot work for a while and return whose chunks it ran."""
    now, order = 0.0, []
    [running] = [each for each in table.handle(WorkerJoined(b"w", 1), now) if isinstance(each, Assign)]
    for _ in range(count):
        order.append(running.job)
        now += seconds[running.job]
        out = table.handle(ChunkDone(b"w", running.job, running.chunk, seconds[running.job], b""), now)
        [running] = [each for each in out if isinstance(each, Assign)]
    return order


def test_a_small_job_does_not_wait_behind_a_large_one() -> None:
    table = after(*(submitted(chunk, job="large") for chunk in range(50)), submitted(0, job="small"))
    assert "small" in turns(table, {"large": 0.05, "small": 0.05}, 3)


def test_many_jobs_of_one_chunk_each_run_in_the_order_in_which_they_came() -> None:
    jobs = [f"j{number}" for number in range(300)]
    table = after(*(submitted(0, job=job) for job in jobs), limit=300)
    assert turns(table, dict.fromkeys(jobs, 0.05), 299) == jobs[:299]


def test_jobs_get_the_same_slot_time_however_long_their_chunks_are() -> None:
    events = [submitted(chunk, job=job) for job in ("slow", "quick") for chunk in range(90)]
    shares = Counter(turns(after(*events, limit=200), {"slow": 1.0, "quick": 0.1}, 44))
    assert shares["quick"] == pytest.approx(10 * shares["slow"], abs=11)


def test_a_new_job_does_not_get_what_older_jobs_had_before_it_came() -> None:
    table = after(*(submitted(chunk, job="old") for chunk in range(90)))
    now = 0.0
    table.handle(WorkerJoined(b"w", 1), now)
    for chunk in range(20):
        now += 1.0
        table.handle(ChunkDone(b"w", "old", chunk, 1.0, b""), now)
    for chunk in range(20):
        table.handle(submitted(chunk, job="new"), now)
    order: list[str] = []
    running = assigned(20, job="old")
    for _ in range(10):
        now += 1.0
        out = table.handle(ChunkDone(b"w", running.job, running.chunk, 1.0, b""), now)
        [running] = [each for each in out if isinstance(each, Assign)]
        order.append(running.job)
    assert 4 <= order.count("new") <= 7


def shares(table: JobTable, lengths: dict[str, float], slots: int, until: float) -> dict[str, float]:
    """Let slots of one worker run what they are given, and return the slot time that each job had."""
    had = dict.fromkeys(lengths, 0.0)
    running: list[tuple[float, float, Assign]] = []

    def take(out: list[Instruction], now: float) -> None:
        running.extend((now + lengths[each.job], now, each) for each in out if isinstance(each, Assign))

    take(table.handle(WorkerJoined(b"w", slots), 0.0), 0.0)
    while running:
        running.sort(key=lambda entry: entry[0])
        now, began, ran = running.pop(0)
        had[ran.job] += min(now, until) - began
        if now >= until:
            break
        take(table.handle(ChunkDone(b"w", ran.job, ran.chunk, now - began, b""), now), now)
    for _, began, ran in running:
        had[ran.job] += until - began
    return had


def test_sessions_share_the_slots_however_many_jobs_each_has_and_however_long_their_chunks_are() -> None:
    jobs = {"a1": 0.3, "a2": 0.05, "a3": 0.05, "b1": 1.0}
    events = [submitted(chunk, job=job, group=job[0]) for job in jobs for chunk in range(2_000)]
    had = shares(after(*events, limit=10_000), jobs, slots=4, until=60.0)
    assert had["b1"] == pytest.approx(120, abs=4)
    assert had["a1"] == pytest.approx(40, abs=4)


def test_long_chunks_do_not_take_all_slots_before_they_are_charged() -> None:
    table = after(*(submitted(chunk, job="short", group="s") for chunk in range(1_000)), limit=10_000)
    for chunk in range(100):
        table.handle(submitted(chunk, job="long", group="l"), 0.0)
    had = shares(table, {"short": 0.05, "long": 1_000.0}, slots=8, until=20.0)
    assert had["short"] >= 20 * 2


def test_a_session_that_comes_back_has_not_saved_up_and_still_owes_what_it_took() -> None:
    """One session asks for a long chunk at a time, whenever it has got the last; another always has short ones."""
    lengths = {"steady": 0.1, "single": 1.0}
    table = after(*(submitted(chunk, job="steady", group="s") for chunk in range(900)), limit=999)
    table.handle(submitted(0, job="single", group="g"), 0.0)
    now, order = 0.0, []
    [running] = [each for each in table.handle(WorkerJoined(b"w", 1), now) if isinstance(each, Assign)]
    for _ in range(200):
        order.append(running.job)
        now += lengths[running.job]
        out = table.handle(ChunkDone(b"w", running.job, running.chunk, lengths[running.job], b""), now)
        if running.job == "single":
            out += table.handle(submitted(running.chunk + 1, job="single", group="g"), now)
        [running] = [each for each in out if isinstance(each, Assign)]
    had = {job: order.count(job) * seconds for job, seconds in lengths.items()}
    assert had["single"] == pytest.approx(had["steady"], abs=2)


def test_a_higher_priority_goes_first_within_a_session_and_means_nothing_to_others() -> None:
    table = after(
        *(submitted(chunk, job="mine", group="a") for chunk in range(5)),
        *(submitted(chunk, job="urgent", group="a", priority=7) for chunk in range(5)),
        *(submitted(chunk, job="other", group="b") for chunk in range(12)),
    )
    order = turns(table, {"mine": 0.1, "urgent": 0.1, "other": 0.1}, 16)
    assert [job for job in order if job != "other"][:8] == ["urgent"] * 5 + ["mine"] * 3
    assert order.count("other") == pytest.approx(8, abs=1)


def short_ones(slots: int = 1) -> JobTable:
    """A table that has learned that the chunks of `j` are short."""
    table = after(WorkerJoined(b"w", slots), submitted(0))
    table.handle(ChunkDone(b"w", "j", 0, 0.0001, b""), 0.1)
    return table


def test_a_slot_gets_its_next_chunks_before_it_is_idle_where_they_are_short() -> None:
    table = short_ones()
    out = [table.handle(submitted(chunk), 0.2) for chunk in range(1, 20 + AHEAD)]
    assert sum(map(len, out)) == 1 + AHEAD
    assert table.handle(ChunkDone(b"w", "j", 1, 0.0001, b""), 0.3)[1:] == [assigned(2 + AHEAD)]


@pytest.mark.parametrize(("size", "ahead"), [(AHEAD_BYTES // 4, 4), (AHEAD_BYTES, 1), (AHEAD_BYTES + 1, 0)])
def test_of_large_payloads_fewer_are_sent_ahead(size: int, ahead: int) -> None:
    table = short_ones()
    out = [table.handle(Submitted(b"c", "j", chunk, "m:j", bytes(size)), 0.2) for chunk in range(1, 9)]
    assert sum(map(len, out)) == 1 + ahead


def test_nothing_is_sent_ahead_before_it_is_known_how_long_it_takes_or_where_it_is_long() -> None:
    table = after(WorkerJoined(b"w", 1), submitted(0), submitted(1))
    assert table.handle(ChunkDone(b"w", "j", 0, 0.05, b""), 0.1)[1:] == [assigned(1)]
    assert table.handle(submitted(2), 0.1) == []


def test_short_chunks_do_not_wait_behind_long_ones() -> None:
    table = short_ones(slots=2)
    table.handle(submitted(0, job="long"), 0.2)
    sent = [table.handle(submitted(chunk), 0.2) for chunk in range(1, 20 + AHEAD)]
    assert sum(map(len, sent)) == 1 + AHEAD
    table.handle(submitted(1, job="long"), 0.2)
    assert [each for out in sent for each in out] == [assigned(chunk) for chunk in range(1, 2 + AHEAD)]


def test_idle_slots_come_before_chunks_ahead() -> None:
    table = short_ones()
    table.handle(submitted(1), 0.2)
    table.handle(WorkerJoined(b"v", 2), 0.2)
    out = [table.handle(submitted(chunk), 0.2)[0] for chunk in (2, 3, 4)]
    assert [each.worker for each in out if isinstance(each, Assign)] == [b"v", b"v", b"w"]


def test_a_chunk_that_comes_back_unbegun_waits_for_a_free_slot_and_has_not_had_its_try() -> None:
    table = short_ones()
    for chunk in (1, 2):
        table.handle(submitted(chunk, retries=0), 0.2)
    assert table.handle(ChunkReturned(b"w", "j", 2), 0.3) == []
    assert table.handle(WorkerJoined(b"v", 1), 0.3)[-1] == assigned(2, b"v")


def test_what_was_sent_ahead_to_a_worker_that_is_gone_has_not_had_its_try() -> None:
    table = short_ones()
    for chunk in (1, 2, 3):
        table.handle(submitted(chunk, retries=0), 0.2)
    [failed, _] = table.handle(WorkerGone(b"w", "killed"), 0.3)
    assert isinstance(failed, Fail)
    assert failed.chunk == 1
    assert table.handle(WorkerJoined(b"v", 2), 0.3)[1:] == [assigned(2, b"v"), assigned(3, b"v")]


def test_chunks_of_too_many_bytes_are_refused_but_for_one_alone() -> None:
    table = JobTable(bytes_limit=8)
    assert table.handle(Submitted(b"c", "j", 0, "m:f", bytes(20)), 0.0) == []
    [refused] = table.handle(submitted(1), 0.0)
    assert isinstance(refused, Fail)
    assert "8 bytes" in Failure.from_bytes(refused.payload).message
    assert table.handle(Submitted(b"d", "k", 0, "m:f", b"items"), 0.0) == []


def test_a_chunk_over_its_time_is_not_run_again() -> None:
    table = after(WorkerJoined(b"w", 1), submitted(0))
    failed = ChunkFailed(b"w", "j", 0, "timeout", b"why")
    assert table.handle(failed, 0.0) == [Fail(b"c", "j", 0, "timeout", b"why")]
