"""The job table: every chunk is answered once, whatever happens in whatever order."""

from collections import Counter

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
    Due,
    Event,
    Fail,
    Instruction,
    JobCancelled,
    SlotsChanged,
    WorkerGone,
    WorkerJoined,
    WorkerLeft,
)
from databench.wire.jobstate import AHEAD, TRANSITIONS, State
from databench.wire.jobtable import JobTable
from tests.wire.table import after, assigned, submitted


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

    def tell(self, *events: Event) -> None:
        for instruction in self.table.handle_all(events, self.now):
            self.perform(instruction)

    def perform(self, instruction: Instruction) -> None:
        match instruction:
            case Assign(worker, job, chunk):
                assert (job, chunk) in self.open
                assert (job, chunk) not in self.running
                assert worker in self.slots
                self.running[job, chunk] = worker
                assert list(self.running.values()).count(worker) <= self.slots[worker] * (1 + AHEAD)
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
        self.tell(submitted(self.numbers, job, self.client(job), retries, job, self.numbers % 3 - 1))

    @rule(jobs=st.lists(JOBS, max_size=9))
    def submit_together(self, jobs: list[str]) -> None:
        numbers = range(self.numbers + 1, self.numbers + 1 + len(jobs))
        self.numbers += len(jobs)
        self.open.update(zip(jobs, numbers, strict=True))
        self.tell(
            *(submitted(number, job, self.client(job), 1, job) for job, number in zip(jobs, numbers, strict=True))
        )

    @rule(worker=WORKERS, took=ROUNDING)
    def answer_together(self, worker: bytes, took: float) -> None:
        self.now += took
        mine = [key for key, name in self.running.items() if name == worker]
        self.tell(*(ChunkDone(worker, job, chunk, took, b"r") for job, chunk in mine))

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
    @rule(data=st.data(), what=st.sampled_from(["done", "failed", "timeout", "lost", "returned"]), took=ROUNDING)
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
                self.tell(ChunkDone(worker, job, chunk, self.now % 0.1, b"r"))
            case "failed":
                self.tell(ChunkFailed(worker, job, chunk, "raised", b"f"))
            case "timeout":
                self.tell(ChunkFailed(worker, job, chunk, "timeout", b"f"))
            case "lost":
                self.tell(ChunkLost(worker, job, chunk, "exit code 1"))
            case _:
                self.tell(ChunkReturned(worker, job, chunk))

    @rule()
    @precondition(lambda self: self.table.due is not None)
    def wait(self) -> None:
        due = self.table.due
        assert due is not None
        self.now = max(self.now, due)
        self.tell(Due())
        assert self.table.due is None or self.table.due > self.now

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

    @rule()
    def restart_the_broker(self) -> None:
        """A new table knows nothing; clients submit again what is unanswered, workers drop what they had."""
        self.table = JobTable(queue_limit=20)
        self.running.clear()
        for worker in self.slots:
            self.tell(WorkerJoined(worker, self.slots[worker]))
        for job, chunk in sorted(self.open):
            self.tell(submitted(chunk, job, self.client(job), 1, job))

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
