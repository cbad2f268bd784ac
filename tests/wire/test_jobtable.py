"""The job table: every chunk is answered once, whatever happens in whatever order."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from databench.wire.chunks import Failure
from databench.wire.jobevents import (
    Assign,
    CapacityChanged,
    ChunkDone,
    ChunkFailed,
    ChunkLost,
    ChunkReturned,
    ClientGone,
    Deliver,
    Drop,
    Event,
    Fail,
    Instruction,
    JobCancelled,
    SlotsChanged,
    Submitted,
    WorkerGone,
    WorkerJoined,
    WorkerLeft,
)
from databench.wire.jobtable import TRANSITIONS, JobTable, State


def submitted(chunk: int, job: str = "j", client: bytes = b"c", retries: int = 2) -> Submitted:
    return Submitted(client, job, chunk, "m:f", retries, b"items")


def assigned(chunk: int, worker: bytes = b"w", job: str = "j") -> Assign:
    return Assign(worker, job, chunk, "m:f", b"items")


def after(*events: Event, limit: int = 100) -> JobTable:
    table = JobTable(limit)
    for event in events:
        table.handle(event, 0.0)
    return table


def test_a_chunk_waits_for_a_worker_and_its_result_goes_to_its_client() -> None:
    table = JobTable()
    assert table.handle(submitted(0), 0.0) == []
    assert table.handle(WorkerJoined(b"w", 1), 1.0) == [CapacityChanged(1), assigned(0)]
    assert table.handle(ChunkDone(b"w", "j", 0, 0.5, b"result"), 2.0) == [Deliver(b"c", "j", 0, 0.5, b"result")]
    assert table.unfinished == 0


def test_a_worker_never_has_more_chunks_than_slots() -> None:
    table = after(WorkerJoined(b"w", 2), submitted(0), submitted(1))
    assert table.handle(submitted(2), 0.0) == []
    assert table.handle(SlotsChanged(b"w", 3), 0.0) == [CapacityChanged(3), assigned(2)]


def test_the_worker_with_most_free_slots_gets_the_next_chunk() -> None:
    table = after(WorkerJoined(b"small", 1), WorkerJoined(b"large", 3))
    workers = [table.handle(submitted(chunk), 0.0)[0] for chunk in range(3)]
    assert [each.worker for each in workers if isinstance(each, Assign)][:2] == [b"large", b"large"]


def test_a_lost_chunk_runs_again_until_its_retries_are_used_up() -> None:
    table = after(WorkerJoined(b"w", 1), submitted(0, retries=1))
    assert table.handle(ChunkLost(b"w", "j", 0, "killed by signal 9"), 0.0) == [assigned(0)]
    [failed] = table.handle(ChunkLost(b"w", "j", 0, "exit code 3"), 0.0)
    assert isinstance(failed, Fail)
    assert (failed.reason, Failure.from_bytes(failed.payload).message) == ("lost", "exit code 3")


def test_a_returned_chunk_is_queued_again_without_using_a_retry() -> None:
    table = after(WorkerJoined(b"w", 1), submitted(0, retries=0), WorkerJoined(b"v", 1), WorkerLeft(b"w"))
    assert table.handle(ChunkReturned(b"w", "j", 0), 0.0) == [assigned(0, b"v")]


def test_a_task_that_raised_is_not_run_again() -> None:
    table = after(WorkerJoined(b"w", 1), submitted(0))
    assert table.handle(ChunkFailed(b"w", "j", 0, "raised", b"why"), 0.0) == [Fail(b"c", "j", 0, "raised", b"why")]


def test_the_chunks_of_a_worker_that_is_gone_run_elsewhere_and_its_late_results_are_dropped() -> None:
    table = after(WorkerJoined(b"w", 2), submitted(0), submitted(1), WorkerJoined(b"v", 2))
    out = table.handle(WorkerGone(b"w", "silent"), 0.0)
    assert out == [CapacityChanged(2), assigned(0, b"v"), assigned(1, b"v")]
    assert table.handle(ChunkDone(b"w", "j", 0, 0.1, b"late"), 0.0) == []
    assert table.late == 1


def test_a_worker_that_joins_anew_has_lost_what_it_had() -> None:
    table = after(WorkerJoined(b"w", 1), submitted(0, retries=0))
    [failed] = table.handle(WorkerJoined(b"w", 1), 0.0)
    assert isinstance(failed, Fail)


def test_a_leaving_worker_finishes_what_it_has_and_gets_nothing_new() -> None:
    table = after(WorkerJoined(b"w", 1), submitted(0), submitted(1))
    assert table.handle(WorkerLeft(b"w"), 0.0) == [CapacityChanged(0)]
    assert table.handle(ChunkDone(b"w", "j", 0, 0.1, b"r"), 0.0) == [Deliver(b"c", "j", 0, 0.1, b"r")]


def test_cancelling_a_job_drops_what_runs_and_frees_the_slots() -> None:
    table = after(WorkerJoined(b"w", 1), submitted(0), submitted(1), submitted(7, job="other"))
    assert table.handle(JobCancelled(b"c", "j"), 0.0) == [Drop(b"w", "j", 0), assigned(7, job="other")]
    assert table.handle(ChunkDone(b"w", "j", 0, 0.1, b"late"), 0.0) == []


def test_a_client_can_only_cancel_its_own_jobs() -> None:
    table = after(submitted(0))
    table.handle(JobCancelled(b"stranger", "j"), 0.0)
    assert table.unfinished == 1


def test_the_jobs_of_a_client_that_is_gone_are_cancelled() -> None:
    table = after(WorkerJoined(b"w", 1), submitted(0), submitted(1), submitted(0, job="k", client=b"d"))
    assert table.handle(ClientGone(b"c"), 0.0) == [Drop(b"w", "j", 0), assigned(0, job="k")]
    assert table.unfinished == 1


def test_a_chunk_that_is_submitted_twice_runs_once() -> None:
    table = after(submitted(0), submitted(0))
    assert table.unfinished == 1


def test_too_many_chunks_of_one_client_are_refused() -> None:
    table = after(submitted(0), submitted(1), limit=2)
    [refused] = table.handle(submitted(2), 0.0)
    assert isinstance(refused, Fail)
    assert refused.reason == "refused"
    assert table.handle(submitted(0, job="k", client=b"d"), 0.0) == []


def test_the_name_of_another_clients_job_is_refused() -> None:
    [refused] = after(submitted(0)).handle(submitted(1, client=b"stranger"), 0.0)
    assert isinstance(refused, Fail)
    assert refused.client == b"stranger"


def turns(table: JobTable, seconds: dict[str, float], count: int) -> list[str]:
    """Let one slot work for a while and return whose chunks it ran."""
    now, order = 0.0, []
    [running] = [each for each in table.handle(WorkerJoined(b"w", 1), now) if isinstance(each, Assign)]
    for _ in range(count):
        order.append(running.job)
        now += seconds[running.job]
        out = table.handle(ChunkDone(b"w", running.job, running.chunk, 0.0, b""), now)
        [running] = [each for each in out if isinstance(each, Assign)]
    return order


def test_a_small_job_does_not_wait_behind_a_large_one() -> None:
    table = after(*(submitted(chunk, job="large") for chunk in range(50)), submitted(0, job="small"))
    assert "small" in turns(table, {"large": 0.05, "small": 0.05}, 3)


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


def test_an_answered_chunk_stays_answered() -> None:
    assert [TRANSITIONS[state] for state in (State.DELIVERED, State.FAILED, State.DISCARDED)] == [{}, {}, {}]


WORKERS = st.sampled_from([b"w1", b"w2", b"w3"])
JOBS = st.sampled_from(["a", "b", "c"])
ROUNDING = st.sampled_from([0.0, 0.001, 0.05, 3.0])


class AnyOrder(RuleBasedStateMachine):
    """Events in any order, against a simple book of what must be answered."""

    @initialize()
    def begin(self) -> None:
        self.table = JobTable(queue_limit=20)
        self.now = 0.0
        self.numbers = 0
        self.open: set[tuple[str, int]] = set()
        self.answers: Counter[tuple[str, int]] = Counter()
        self.cancelled: set[tuple[str, int]] = set()
        self.running: dict[tuple[str, int], bytes] = {}
        self.slots: dict[bytes, int] = {}

    def tell(self, event: Event) -> None:
        for instruction in self.table.handle(event, self.now):
            self.perform(instruction)

    def perform(self, instruction: Instruction) -> None:
        match instruction:
            case Assign(worker, job, chunk):
                assert (job, chunk) in self.open
                assert (job, chunk) not in self.running
                assert worker in self.slots
                self.running[job, chunk] = worker
                assert list(self.running.values()).count(worker) <= self.slots[worker]
            case Drop(worker, job, chunk):
                assert self.running.pop((job, chunk)) == worker
            case Deliver(client, job, chunk) | Fail(client, job, chunk):
                assert client == self.client(job)
                self.answers[job, chunk] += 1
                assert self.answers[job, chunk] == 1
                assert (job, chunk) not in self.cancelled
                self.open.discard((job, chunk))
                self.running.pop((job, chunk), None)

    def client(self, job: str) -> bytes:
        return b"c2" if job == "c" else b"c1"

    @rule(job=JOBS, retries=st.integers(0, 2))
    def submit(self, job: str, retries: int) -> None:
        self.numbers += 1
        self.open.add((job, self.numbers))
        self.tell(submitted(self.numbers, job, self.client(job), retries))

    @rule(worker=WORKERS, slots=st.integers(0, 3))
    def join(self, worker: bytes, slots: int) -> None:
        self.forget(worker)
        self.slots[worker] = slots
        self.tell(WorkerJoined(worker, slots))

    def forget(self, worker: bytes) -> None:
        self.slots.pop(worker, None)
        self.running = {key: name for key, name in self.running.items() if name != worker}

    @rule(worker=WORKERS, slots=st.integers(0, 3))
    def change_slots(self, worker: bytes, slots: int) -> None:
        if worker in self.slots:
            self.slots[worker] = max(slots, list(self.running.values()).count(worker))
        self.tell(SlotsChanged(worker, slots))

    @rule(worker=WORKERS)
    def let_worker_leave(self, worker: bytes) -> None:
        self.tell(WorkerLeft(worker))

    @rule(worker=WORKERS)
    def lose_worker(self, worker: bytes) -> None:
        self.forget(worker)
        self.tell(WorkerGone(worker, "silent"))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), what=st.sampled_from(["done", "failed", "lost", "returned"]), took=ROUNDING)
    def answer(self, data: st.DataObject, what: str, took: float) -> None:
        self.now += took
        (job, chunk), worker = data.draw(st.sampled_from(sorted(self.running.items())))
        if what in ("lost", "returned"):
            del self.running[job, chunk]
        self.say(what, worker, job, chunk)

    @rule(worker=WORKERS, job=JOBS, chunk=st.integers(0, 20), what=st.sampled_from(["done", "lost"]))
    def answer_for_what_is_not_there(self, worker: bytes, job: str, chunk: int, what: str) -> None:
        if self.running.get((job, chunk)) != worker:
            self.say(what, worker, job, chunk)

    def say(self, what: str, worker: bytes, job: str, chunk: int) -> None:
        match what:
            case "done":
                self.tell(ChunkDone(worker, job, chunk, 0.1, b"r"))
            case "failed":
                self.tell(ChunkFailed(worker, job, chunk, "raised", b"f"))
            case "lost":
                self.tell(ChunkLost(worker, job, chunk, "exit code 1"))
            case _:
                self.tell(ChunkReturned(worker, job, chunk))

    @rule(job=JOBS)
    def cancel(self, job: str) -> None:
        gone = {key for key in self.open if key[0] == job}
        self.open -= gone
        self.tell(JobCancelled(self.client(job), job))
        self.cancelled |= gone
        assert not gone & self.running.keys()

    @rule()
    def lose_client(self) -> None:
        gone = {key for key in self.open if key[0] != "c"}
        self.open -= gone
        self.tell(ClientGone(b"c1"))
        self.cancelled |= gone

    @invariant()
    def the_books_agree(self) -> None:
        if hasattr(self, "table"):
            assert self.table.unfinished == len(self.open)

    def teardown(self) -> None:
        """In the end a good worker comes, and everything that is open is answered."""
        if not hasattr(self, "table"):
            return
        for worker in list(self.slots):
            self.lose_worker(worker)
        self.slots[b"good"] = 2
        self.tell(WorkerJoined(b"good", 2))
        while self.running:
            (job, chunk), worker = next(iter(self.running.items()))
            self.say("done", worker, job, chunk)
        assert self.open == set()
        assert self.table.unfinished == 0


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
