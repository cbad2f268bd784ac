"""The job table: which chunk waits, which runs where, and what has to happen next.

Owns retries, fairness and the promise that each chunk is answered once. Events in, instructions out; it knows
no sockets, no bytes of messages and no clock (time is an argument).

Rule 1: a chunk that was submitted is answered exactly once, by Deliver or by Fail, unless it is cancelled.
Rule 2: only the worker that a chunk is assigned to may answer for it; what others send is late and dropped.
Rule 3: a worker never has more chunks than slots.
Rule 4: the next chunk comes from the job that has had the least slot time; jobs that are even take turns.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from heapq import heappop, heappush

from databench.errors import LocalProtocolError
from databench.wire.chunks import AIM, Failure
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

QUEUE_LIMIT = 4096
"""Unfinished chunks that one client may have; further ones are refused."""


class State(Enum):
    """Where a chunk stands."""

    QUEUED = auto()
    RUNNING = auto()
    DELIVERED = auto()
    FAILED = auto()
    DISCARDED = auto()


class Move(Enum):
    """What happens to a chunk."""

    ASSIGN = auto()
    FINISH = auto()
    FAIL = auto()
    RETRY = auto()
    RETURN = auto()
    CANCEL = auto()


TRANSITIONS: dict[State, dict[Move, State]] = {
    State.QUEUED: {Move.ASSIGN: State.RUNNING, Move.CANCEL: State.DISCARDED},
    State.RUNNING: {
        Move.FINISH: State.DELIVERED,
        Move.FAIL: State.FAILED,
        Move.RETRY: State.QUEUED,
        Move.RETURN: State.QUEUED,
        Move.CANCEL: State.DISCARDED,
    },
    State.DELIVERED: {},
    State.FAILED: {},
    State.DISCARDED: {},
}


@dataclass(slots=True, eq=False)
class _Chunk:
    job: "_Job"
    number: int
    task: str
    payload: bytes
    retries: int
    state: State = State.QUEUED
    worker: "_Worker | None" = None
    started: float = 0.0
    charged: float = 0.0

    def move(self, move: Move) -> None:
        if (state := TRANSITIONS[self.state].get(move)) is None:
            raise LocalProtocolError(f"a chunk that is {self.state.name} cannot {move.name}")
        self.state = state


@dataclass(slots=True, eq=False)
class _Job:
    client: bytes
    name: str
    consumed: float
    chunks: dict[int, _Chunk] = field(default_factory=dict)
    queue: deque[_Chunk] = field(default_factory=deque)
    usual: float = AIM
    turn: int = 0


@dataclass(slots=True, eq=False)
class _Worker:
    name: bytes
    slots: int
    leaving: bool = False
    chunks: set[_Chunk] = field(default_factory=set)

    @property
    def free(self) -> int:
        return 0 if self.leaving else self.slots - len(self.chunks)


class JobTable:
    """All jobs, chunks and workers of one broker."""

    def __init__(self, queue_limit: int = QUEUE_LIMIT) -> None:
        self.capacity = 0
        """Usable slots of all workers that are not leaving."""
        self.late = 0
        """Answers that were dropped since their chunk was no longer theirs."""
        self._queue_limit = queue_limit
        self._workers: dict[bytes, _Worker] = {}
        self._jobs: dict[str, _Job] = {}
        self._unfinished: dict[bytes, int] = {}
        self._order: list[tuple[float, int, _Job]] = []
        self._turns = 0
        self._floor = 0.0

    @property
    def unfinished(self) -> int:
        """Chunks that are not yet answered."""
        return sum(self._unfinished.values())

    def handle(self, event: Event, now: float) -> list[Instruction]:
        """Take in what happened and return what is to be done, in this order."""
        out: list[Instruction] = []
        match event:
            case Submitted():
                self._submitted(event, out)
            case ChunkDone() | ChunkFailed() | ChunkLost() | ChunkReturned():
                self._answered(event, now, out)
            case JobCancelled(client, name):
                job = self._jobs.get(name)
                if job is not None and job.client == client:
                    self._cancel(job, out)
            case ClientGone(client):
                for job in [job for job in self._jobs.values() if job.client == client]:
                    self._cancel(job, out)
            case WorkerJoined(name, slots):
                self._gone(name, "its worker joined anew", now, out)
                self._workers[name] = _Worker(name, slots)
            case SlotsChanged(name, slots) if name in self._workers:
                self._workers[name].slots = slots
            case WorkerLeft(name) if name in self._workers:
                self._workers[name].leaving = True
            case WorkerGone(name, reason):
                self._gone(name, reason, now, out)
        if isinstance(event, (WorkerJoined, SlotsChanged, WorkerLeft, WorkerGone)):
            self._count_slots(out)
        self._assign(now, out)
        return out

    def _submitted(self, event: Submitted, out: list[Instruction]) -> None:
        unfinished = self._unfinished.get(event.client, 0)
        job = self._jobs.get(event.job)
        if job is not None and job.client == event.client and event.chunk in job.chunks:
            return
        if unfinished >= self._queue_limit or (job is not None and job.client != event.client):
            reason = (
                f"more than {self._queue_limit:,} chunks wait for their turn"
                if unfinished >= self._queue_limit
                else f"the job {event.job} belongs to another client"
            )
            payload = Failure(None, "Refused", reason, "").to_bytes()
            out.append(Fail(event.client, event.job, event.chunk, "refused", payload))
            return
        if job is None:
            job = self._jobs[event.job] = _Job(event.client, event.job, self._floor)
        chunk = _Chunk(job, event.chunk, event.task, event.payload, event.retries)
        job.chunks[event.chunk] = chunk
        job.queue.append(chunk)
        self._unfinished[event.client] = unfinished + 1
        if len(job.queue) == 1:
            self._enlist(job)

    def _answered(
        self,
        event: ChunkDone | ChunkFailed | ChunkLost | ChunkReturned,
        now: float,
        out: list[Instruction],
    ) -> None:
        job = self._jobs.get(event.job)
        chunk = job.chunks.get(event.chunk) if job else None
        if chunk is None or chunk.worker is None or chunk.worker.name != event.worker:
            self.late += 1
            return
        match event:
            case ChunkDone():
                self._finish(chunk, Move.FINISH, now)
                out.append(Deliver(chunk.job.client, event.job, event.chunk, event.seconds, event.payload))
            case ChunkFailed():
                self._finish(chunk, Move.FAIL, now)
                out.append(Fail(chunk.job.client, event.job, event.chunk, event.reason, event.payload))
            case ChunkLost():
                self._lose(chunk, event.reason, now, out)
            case ChunkReturned():
                self._release(chunk, now)
                self._requeue(chunk, Move.RETURN)

    def _lose(self, chunk: _Chunk, reason: str, now: float, out: list[Instruction]) -> None:
        if chunk.retries > 0:
            chunk.retries -= 1
            self._release(chunk, now)
            self._requeue(chunk, Move.RETRY)
            return
        self._finish(chunk, Move.FAIL, now)
        payload = Failure(None, "Lost", reason, "").to_bytes()
        out.append(Fail(chunk.job.client, chunk.job.name, chunk.number, "lost", payload))

    def _gone(self, name: bytes, reason: str, now: float, out: list[Instruction]) -> None:
        if (worker := self._workers.pop(name, None)) is None:
            return
        for chunk in sorted(worker.chunks, key=lambda chunk: chunk.number, reverse=True):
            self._lose(chunk, reason, now, out)

    def _cancel(self, job: _Job, out: list[Instruction]) -> None:
        for chunk in job.chunks.values():
            if chunk.worker is not None:
                out.append(Drop(chunk.worker.name, job.name, chunk.number))
                chunk.worker.chunks.discard(chunk)
                chunk.worker = None
            chunk.move(Move.CANCEL)
        self._settle(job, len(job.chunks))
        job.chunks.clear()
        job.queue.clear()
        del self._jobs[job.name]

    def _finish(self, chunk: _Chunk, move: Move, now: float) -> None:
        self._release(chunk, now)
        chunk.move(move)
        job = chunk.job
        del job.chunks[chunk.number]
        self._settle(job, 1)
        if not job.chunks:
            del self._jobs[job.name]

    def _settle(self, job: _Job, answered: int) -> None:
        if (left := self._unfinished[job.client] - answered) > 0:
            self._unfinished[job.client] = left
        else:
            del self._unfinished[job.client]

    def _release(self, chunk: _Chunk, now: float) -> None:
        """Take a chunk from its worker and charge its job for the slot time that it really had."""
        assert chunk.worker is not None
        chunk.worker.chunks.discard(chunk)
        chunk.worker = None
        job = chunk.job
        job.usual = max(now - chunk.started, 0.0)
        job.consumed += job.usual - chunk.charged
        if job.queue:
            self._enlist(job)

    def _requeue(self, chunk: _Chunk, move: Move) -> None:
        chunk.move(move)
        chunk.job.queue.appendleft(chunk)
        self._enlist(chunk.job)

    def _enlist(self, job: _Job) -> None:
        """Give the job its place in the order; the entries it had before are out of date from here on."""
        self._turns += 1
        job.turn = self._turns
        heappush(self._order, (job.consumed, job.turn, job))
        if len(self._order) > 64 + 4 * len(self._jobs):
            self._order = sorted(entry for entry in self._order if self._valid(entry))

    def _valid(self, entry: tuple[float, int, _Job]) -> bool:
        return entry[1] == entry[2].turn and bool(entry[2].queue)

    def _assign(self, now: float, out: list[Instruction]) -> None:
        while self._order:
            if not self._valid(self._order[0]):
                heappop(self._order)
                continue
            worker = max(self._workers.values(), key=lambda worker: worker.free, default=None)
            if worker is None or worker.free <= 0:
                return
            _, _, job = heappop(self._order)
            self._floor = max(self._floor, job.consumed)
            chunk = job.queue.popleft()
            chunk.move(Move.ASSIGN)
            chunk.worker, chunk.started, chunk.charged = worker, now, job.usual
            worker.chunks.add(chunk)
            job.consumed += job.usual
            if job.queue:
                self._enlist(job)
            out.append(Assign(worker.name, job.name, chunk.number, chunk.task, chunk.payload))

    def _count_slots(self, out: list[Instruction]) -> None:
        capacity = sum(worker.slots for worker in self._workers.values() if not worker.leaving)
        if capacity != self.capacity:
            self.capacity = capacity
            out.append(CapacityChanged(capacity))
