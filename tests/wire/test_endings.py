"""Slots that are about to be free get their next chunk in time, and nobody waits behind a long one for it."""

import heapq
from dataclasses import dataclass, field

import pytest

from databench.wire.chunks import Chunking
from databench.wire.endings import LEAD, LONGEST
from databench.wire.jobevents import (
    Assign,
    ChunkDone,
    ChunkLost,
    ChunkReturned,
    Deliver,
    Due,
    Event,
    JobCancelled,
    WorkerJoined,
)
from databench.wire.jobtable import JobTable
from tests.wire.table import after, assigned, submitted

TOOK = 0.05


def learned(slots: int = 1, took: float = TOOK) -> JobTable:
    """A table that knows how long the chunks of `j` take; at 1.0 it has given one to each slot, and others wait."""
    table = after(WorkerJoined(b"w", slots), submitted(0))
    table.handle(ChunkDone(b"w", "j", 0, took, b""), 0.5)
    for chunk in range(1, slots + 4):
        table.handle(submitted(chunk), 1.0)
    return table


def test_a_slot_whose_chunk_is_about_to_end_gets_one_more() -> None:
    table = learned()
    assert (due := table.due) is not None
    assert due == pytest.approx(1.0 + TOOK - LEAD)
    assert table.handle(Due(), 1.0 + TOOK - 2 * LEAD) == []
    assert table.handle(Due(), due) == [assigned(2)]
    assert table.due is None
    assert table.handle(Due(), 9.0) == []


def test_the_time_of_a_chunk_that_was_sent_ahead_begins_when_the_one_before_it_has_ended() -> None:
    table = learned()
    table.handle(Due(), 1.0 + TOOK)
    assert len(table.handle(ChunkDone(b"w", "j", 1, TOOK, b""), 1.1)) == 1
    assert table.due == pytest.approx(1.1 + TOOK - LEAD)


def test_who_comes_in_the_meantime_goes_first() -> None:
    table = learned()
    table.handle(submitted(0, job="other", group="newcomer"), 1.02)
    assert table.handle(Due(), 1.0 + TOOK) == [assigned(0, job="other")]


def test_nothing_is_due_where_nobody_waits() -> None:
    table = learned()
    table.handle(JobCancelled(b"c", "j"), 1.0)
    table.handle(submitted(9), 1.0)
    assert table.due is None


@pytest.mark.parametrize("took", [0.001, LONGEST])
def test_nothing_is_due_where_chunks_are_short_or_so_long_that_waiting_does_not_matter(took: float) -> None:
    table = learned(took=took)
    for chunk in range(10, 60):
        table.handle(submitted(chunk), 1.0)
    assert table.due is None


def test_a_chunk_that_ends_otherwise_is_no_longer_about_to() -> None:
    table = learned()
    table.handle(Due(), 1.0 + TOOK)
    assert table.handle(ChunkLost(b"w", "j", 1, "killed"), 1.1) == []
    assert table.handle(ChunkReturned(b"w", "j", 2), 1.1) == [assigned(2)]
    assert table.handle(Due(), 1.1) == []


def test_what_comes_back_unbegun_waits_for_a_free_slot() -> None:
    table = learned()
    table.handle(Due(), 1.0 + TOOK)
    assert table.handle(ChunkReturned(b"w", "j", 2), 1.2) == []
    assert table.handle(ChunkDone(b"w", "j", 1, 0.3, b""), 1.3)[1:] == [assigned(2)]


@dataclass
class Works:
    """A job on simulated slots. Messages take `way` seconds, through the broker twice that."""

    items: int
    seconds: float
    slots: int
    way: float
    now: float = 0.0
    agenda: list[tuple[float, int, str, int, float]] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)
    idle: int = 0
    line: list[int] = field(default_factory=list)

    def run(self) -> float:
        """Return how long it takes until the last result is back."""
        self.table, self.chunking, self.left, self.idle = JobTable(), Chunking(), self.items, self.slots
        self.table.handle(WorkerJoined(b"w", self.slots), 0.0)
        self.feed(2 * self.slots)
        while self.agenda:
            self.now, _, what, chunk, seconds = heapq.heappop(self.agenda)
            match what:
                case "submit":
                    self.tell(submitted(chunk))
                case "begin":
                    self.line.append(chunk)
                case "end":
                    self.idle += 1
                    self.plan(self.way, "answer", chunk, seconds)
                case "answer":
                    self.tell(ChunkDone(b"w", "j", chunk, seconds, b""))
                case "result":
                    self.chunking.learned(self.sizes[chunk], seconds)
                    self.feed(2)
                case _:
                    self.tell(Due())
            self.work()
        return self.now

    def feed(self, chunks: int) -> None:
        for _ in range(chunks):
            if self.left and len(self.sizes) < 4096:
                size = min(self.chunking.size(self.slots, self.left), self.left)
                self.left -= size
                self.sizes[len(self.sizes)] = size
                self.plan(self.way, "submit", len(self.sizes) - 1)

    def work(self) -> None:
        while self.idle and self.line:
            self.idle -= 1
            chunk = self.line.pop(0)
            seconds = self.seconds * self.sizes[chunk]
            self.plan(seconds, "end", chunk, seconds)

    def tell(self, event: Event) -> None:
        for instruction in self.table.handle(event, self.now):
            match instruction:
                case Assign(chunk=chunk):
                    self.plan(self.way, "begin", chunk)
                case Deliver(chunk=chunk, seconds=seconds):
                    self.plan(self.way, "result", chunk, seconds)
        if (due := self.table.due) is not None:
            self.plan(due - self.now, "due", 0)

    def plan(self, wait: float, what: str, chunk: int, seconds: float = 0.0) -> None:
        heapq.heappush(self.agenda, (self.now + wait, len(self.agenda), what, chunk, seconds))


@pytest.mark.parametrize(("items", "seconds"), [(1_000, 0.01), (10_000, 0.001), (4_000, 0.003)])
def test_slots_hardly_ever_wait_for_a_job_of_medium_items(items: int, seconds: float) -> None:
    works = Works(items, seconds, slots=12, way=0.000_5)
    assert works.run() < 1.02 * items * seconds / 12
    assert sum(works.sizes.values()) == items
