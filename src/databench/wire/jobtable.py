"""The job table: which chunk waits, which runs where, and what has to happen next.

Owns retries, fairness and the promise that each chunk is answered once. Events in, instructions out; it knows
no sockets, no bytes of messages and no clock (time is an argument).

Rule 1: a chunk that was submitted is answered exactly once, by Deliver or by Fail, unless it is cancelled.
Rule 2: only the worker that a chunk is assigned to may answer for it; what others send is late and dropped.
Rule 3: a worker has no more chunks than slots, but for a few ahead of them where all are short, and one behind each
that is about to end.
Rule 4: the next chunk comes from the group (session) that has had the least slot time, there from a job of the
highest priority, and among these from the one that has had the least; who is even takes turns.
"""

from collections.abc import Iterable
from itertools import islice
from math import inf

from databench.wire.chunks import Failure
from databench.wire.endings import Endings
from databench.wire.fairshare import Turns
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
from databench.wire.jobstate import AHEAD, AHEAD_BYTES, SHORT, Chunk, Group, Job, Load, Move, Worker

QUEUE_LIMIT = 4096
"""Unfinished chunks that one client may have; further ones are refused."""
BYTES_LIMIT = 256 * 2**20
"""Bytes of their payloads; further chunks are refused, except for one alone."""
COST = 0.0002
"""Seconds of slot time that a chunk is charged besides its own, so that a million empty ones are not free."""
IDLE_GROUPS = 1024
"""Groups without chunks that are remembered, for what they owe."""


class JobTable:
    """All jobs, chunks and workers of one broker."""

    def __init__(self, queue_limit: int = QUEUE_LIMIT, bytes_limit: int = BYTES_LIMIT) -> None:
        self.capacity = 0
        """Usable slots of all workers that are not leaving."""
        self.late = 0
        """Answers that were dropped since their chunk was no longer theirs."""
        self._queue_limit = queue_limit
        self._bytes_limit = bytes_limit
        self._workers: dict[bytes, Worker] = {}
        self._jobs: dict[str, Job] = {}
        self._groups: dict[tuple[bytes, str], Group] = {}
        self._clients: dict[bytes, Load] = {}
        self._turns: Turns[Group] = Turns()
        self._queued = 0
        self._endings = Endings()
        self._floor = 0.0

    @property
    def unfinished(self) -> int:
        """Chunks that are not yet answered."""
        return sum(load.chunks for load in self._clients.values())

    @property
    def due(self) -> float | None:
        """When to tell that time has passed (`Due`): somebody waits, and a slot is about to be free then."""
        return self._endings.due() if self._queued else None

    def handle(self, event: Event, now: float) -> list[Instruction]:
        """Take in what happened and return what is to be done, in this order."""
        return self.handle_all((event,), now)

    def handle_all(self, events: Iterable[Event], now: float) -> list[Instruction]:
        """Do the same for what happened at the same time; chunks are given out when all of it is known."""
        out: list[Instruction] = []
        for event in events:
            match event:
                case Submitted():
                    self._submitted(event, now, out)
                case ChunkDone() | ChunkFailed() | ChunkLost() | ChunkReturned():
                    self._answered(event, now, out)
                case JobCancelled(client, name):
                    job = self._jobs.get(name)
                    if job is not None and job.client == client:
                        self._cancel(job, now, out)
                case ClientGone(client):
                    for job in [job for job in self._jobs.values() if job.client == client]:
                        self._cancel(job, now, out)
                    self._forget_groups(client)
                case WorkerJoined() | SlotsChanged() | WorkerLeft() | WorkerGone():
                    self._worker_changed(event, now, out)
        for chunk in self._endings.proceed(now):
            self._in_line(chunk.job, now)  # who came meanwhile goes first, as when it has ended
        self._assign(now, out)
        return out

    # What comes in

    def _submitted(self, event: Submitted, now: float, out: list[Instruction]) -> None:
        job = self._jobs.get(event.job)
        if job is not None and job.client == event.client and event.chunk in job.chunks:
            return
        load = self._clients.get(event.client) or Load()
        if (reason := self._objection(event, job, load)) is not None:
            payload = Failure(None, "Refused", reason, "").to_bytes()
            out.append(Fail(event.client, event.job, event.chunk, "refused", payload))
            return
        self._clients[event.client] = load
        load.chunks += 1
        load.size += len(event.payload)
        if job is None:
            group = self._group(event.client, event.group)
            job = self._jobs[event.job] = Job(event.client, event.job, group, event.priority)
        group = job.group
        chunk = Chunk(job, event.chunk, event.task, event.payload, event.retries, event.timeout, group.pace(event.task))
        job.chunks[event.chunk] = chunk
        group.unfinished += 1
        self._queue(chunk, now)

    def _worker_changed(
        self, event: WorkerJoined | SlotsChanged | WorkerLeft | WorkerGone, now: float, out: list[Instruction]
    ) -> None:
        match event:
            case WorkerJoined(name, slots):
                self._gone(name, "its worker joined anew", now, out)
                self._workers[name] = Worker(name, slots)
            case SlotsChanged(name, slots) if name in self._workers:
                self._workers[name].slots = slots
            case WorkerLeft(name) if name in self._workers:
                self._workers[name].leaving = True
            case WorkerGone(name, reason):
                self._gone(name, reason, now, out)
        self._count_slots(out)

    def _objection(self, event: Submitted, job: Job | None, load: Load) -> str | None:
        if load.chunks >= self._queue_limit:
            return f"more than {self._queue_limit:,} chunks wait for their turn"
        if load.chunks and load.size + len(event.payload) > self._bytes_limit:
            return f"the chunks that wait for their turn have more than {self._bytes_limit:,} bytes"
        if job is not None and job.client != event.client:
            return f"the job {event.job} belongs to another client"
        return None

    def _group(self, client: bytes, name: str) -> Group:
        key = (client, name)
        if (group := self._groups.get(key)) is None:
            if len(self._groups) > 2 * IDLE_GROUPS:
                self._groups = {key: each for key, each in self._groups.items() if self._remembered(each)}
                for idle in [key for key, each in self._groups.items() if not each.unfinished][:-IDLE_GROUPS]:
                    del self._groups[idle]
            group = self._groups[key] = Group(key)
        return group

    def _remembered(self, group: Group) -> bool:
        return group.unfinished > 0 or group.account.settled > self._floor

    def _forget_groups(self, client: bytes) -> None:
        self._groups = {key: group for key, group in self._groups.items() if key[0] != client}

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
        worker, client = chunk.worker, chunk.job.client
        match event:
            case ChunkDone():
                chunk.pace.learn(event.seconds)
                self._finish(chunk, Move.FINISH, min(event.seconds, now - chunk.started), now)
                out.append(Deliver(client, event.job, event.chunk, event.seconds, event.payload))
            case ChunkFailed():
                self._finish(chunk, Move.FAIL, now - chunk.started, now)
                out.append(Fail(client, event.job, event.chunk, event.reason, event.payload))
            case ChunkLost():
                self._lose(chunk, event.reason, now, out)
            case ChunkReturned():
                chunk.patient = not worker.leaving
                self._requeue(chunk, Move.RETURN, 0.0, now)

    def _lose(self, chunk: Chunk, reason: str, now: float, out: list[Instruction]) -> None:
        if chunk.retries > 0:
            chunk.retries -= 1
            self._requeue(chunk, Move.RETRY, now - chunk.started, now)
            return
        self._finish(chunk, Move.FAIL, now - chunk.started, now)
        payload = Failure(None, "Lost", reason, "").to_bytes()
        out.append(Fail(chunk.job.client, chunk.job.name, chunk.number, "lost", payload))

    def _gone(self, name: bytes, reason: str, now: float, out: list[Instruction]) -> None:
        if (worker := self._workers.pop(name, None)) is None:
            return
        # What was sent ahead was not begun: it has not had its try. The last is queued first, so the order is kept.
        for place, chunk in reversed(list(enumerate(worker.chunks))):
            if place < worker.slots or worker.leaving:
                self._lose(chunk, reason, now, out)
            else:
                self._requeue(chunk, Move.RETURN, 0.0, now)

    def _cancel(self, job: Job, now: float, out: list[Instruction]) -> None:
        for chunk in list(job.chunks.values()):
            if chunk.worker is not None:
                out.append(Drop(chunk.worker.name, job.name, chunk.number))
                self._release(chunk, now - chunk.started, now)
            chunk.move(Move.CANCEL)
            self._settle(chunk)
        job.group.queued -= len(job.queue)
        self._queued -= len(job.queue)
        job.queue.clear()
        del self._jobs[job.name]
        self._in_line(job, now)

    # A chunk's way

    def _queue(self, chunk: Chunk, now: float, *, first: bool = False) -> None:
        job, group = chunk.job, chunk.job.group
        group_begins, job_begins = not group.queued, not job.queue
        if group_begins:
            next_group = self._turns.first(now)
            group.account.rise(next_group.account.used(now) if next_group else self._floor, now)
        if job_begins:
            next_job = group.jobs.first(now)
            job.account.rise(next_job.account.used(now) if next_job else group.floor, now)
        (job.queue.appendleft if first else job.queue.append)(chunk)
        group.queued += 1
        self._queued += 1
        if group_begins:
            self._turns.enlist(group, now)
        if job_begins:
            group.jobs.enlist(job, now)

    def _requeue(self, chunk: Chunk, move: Move, seconds: float, now: float) -> None:
        self._release(chunk, seconds, now)
        chunk.move(move)
        self._queue(chunk, now, first=True)
        self._in_line(chunk.job, now)

    def _finish(self, chunk: Chunk, move: Move, seconds: float, now: float) -> None:
        self._release(chunk, seconds, now)
        chunk.move(move)
        self._settle(chunk)
        job = chunk.job
        del job.chunks[chunk.number]
        if not job.chunks:
            del self._jobs[job.name]
        self._in_line(job, now)

    def _settle(self, chunk: Chunk) -> None:
        client = chunk.job.client
        chunk.job.group.unfinished -= 1
        load = self._clients[client]
        load.chunks -= 1
        load.size -= len(chunk.payload)
        if not load.chunks:
            del self._clients[client]

    def _release(self, chunk: Chunk, seconds: float, now: float) -> None:
        """Take a chunk from its worker, and charge for the slot time that it really had."""
        assert chunk.worker is not None
        worker = chunk.worker
        del worker.chunks[chunk]
        worker.long -= chunk.long
        self._endings.end(chunk)
        chunk.worker = None
        if worker.long and len(worker.chunks) >= worker.slots > 0:
            # The first of those ahead begins in the place of this one, unless it runs already.
            follower = next(islice(worker.chunks, worker.slots - 1, None))
            if follower.ends == inf:
                self._endings.begin(follower, now)
        for account in (chunk.job.account, chunk.job.group.account):
            account.end(chunk.started, chunk.expected, max(seconds, 0.0) + COST)

    def _in_line(self, job: Job, now: float) -> None:
        """Give a job and its group their places, after what they want or what they have had has changed."""
        group = job.group
        if job.queue:
            group.jobs.enlist(job, now)
        if group.queued:
            self._turns.enlist(group, now)

    def _assign(self, now: float, out: list[Instruction]) -> None:
        while self._has_room() and (group := self._turns.first(now)) is not None:
            job = group.jobs.first(now)
            assert job is not None
            if (worker := self._place(job.queue[0])) is None:
                return
            self._floor, group.floor = group.account.used(now), job.account.used(now)
            chunk = job.queue.popleft()
            group.queued -= 1
            self._queued -= 1
            chunk.move(Move.ASSIGN)
            chunk.worker, chunk.started = worker, now
            chunk.expected, chunk.long = chunk.pace.mean + COST, chunk.pace.mean >= SHORT
            worker.chunks[chunk] = None
            worker.long += chunk.long
            if worker.free >= 0:
                self._endings.begin(chunk, now)
            job.account.begin(now, chunk.expected)
            group.account.begin(now, chunk.expected)
            self._in_line(job, now)
            out.append(Assign(worker.name, job.name, chunk.number, chunk.task, chunk.timeout, chunk.payload))

    def _has_room(self) -> bool:
        """Whether any worker may take any chunk; asked after each event, so it is quick."""
        for worker in self._workers.values():
            if len(worker.chunks) < worker.slots * (1 + AHEAD) and not worker.leaving:
                return True
        return False

    def _place(self, chunk: Chunk) -> Worker | None:
        """Return the worker with most free slots, else where there is most room to send the chunk ahead."""
        best, most = None, 0.0
        for worker in self._workers.values():
            if (free := worker.free) > most:
                best, most = worker, free
        if best is not None or chunk.patient or len(chunk.payload) > AHEAD_BYTES:
            return best
        for worker in self._workers.values():
            if (room := worker.room_ahead(chunk)) > most:
                best, most = worker, room
        return best

    def _count_slots(self, out: list[Instruction]) -> None:
        capacity = sum(worker.slots for worker in self._workers.values() if not worker.leaving)
        if capacity != self.capacity:
            self.capacity = capacity
            out.append(CapacityChanged(capacity))
