"""The broker's side of the chunk plane: bytes in, bytes out.

Owns who is a member and for how long silence is taken for life. Decides nothing about chunks (jobtable) and
never decodes a payload. The ZeroMQ broker and the bus in memory both run this class; time is an argument.
"""

from dataclasses import dataclass

from databench.errors import RemoteProtocolError
from databench.wire import codec, jobevents
from databench.wire.jobtable import JobTable
from databench.wire.messages import (
    PROTOCOL_VERSION,
    TO_BROKER,
    Beat,
    Cancel,
    Capacity,
    Done,
    Drop,
    Failed,
    Join,
    Joined,
    Leave,
    Lost,
    Message,
    Refused,
    Returned,
    Run,
    Slots,
    Submit,
    Unknown,
)

WORKER_SILENCE = 5.0
"""Seconds after which a worker that sends nothing is taken for lost, and its chunks run elsewhere."""
CLIENT_SILENCE = 30.0
"""The same for a runner: longer, since an author's handler may keep its loop, and its jobs die with it."""

Outgoing = tuple[bytes, bytes, bytes]
"""Receiver's identity, envelope, payload."""


@dataclass(slots=True)
class _Member:
    name: str
    worker: bool
    seen: float

    @property
    def limit(self) -> float:
        return WORKER_SILENCE if self.worker else CLIENT_SILENCE


class Dispatcher:
    """One broker's members and jobs.

    `broker` names this start of the broker. Hand every message to `receive`, and call `tick` when `next_tick`
    has come, after everything that waits has been received: a broker that was kept from
    reading must not take others for dead.

    >>> dispatcher = Dispatcher("b1")
    >>> join = codec.encode(Join("worker", "w1", PROTOCOL_VERSION, 4))
    >>> [(receiver, envelope, _)] = dispatcher.receive(b"w", join, b"", now=0.0)
    >>> receiver, codec.decode_one(envelope, (Joined,))
    (b'w', Joined(broker='b1'))
    """

    def __init__(self, broker: str) -> None:
        self.refused = 0
        """Messages that did not decode or that their sender may not send."""
        self._broker = broker
        self._table = JobTable()
        self._members: dict[bytes, _Member] = {}
        self._next_tick: float | None = None

    @property
    def next_tick(self) -> float | None:
        """The time at which `tick` should be called; None while there is nobody to watch."""
        return self._next_tick

    @property
    def capacity(self) -> int:
        """Usable slots of all workers."""
        return self._table.capacity

    @property
    def late(self) -> int:
        """Answers of workers that came too late and were dropped."""
        return self._table.late

    def receive(self, sender: bytes, envelope: bytes, payload: bytes, now: float) -> list[Outgoing]:
        """Take in one message and return what is to be sent."""
        try:
            message = codec.decode_one(envelope, TO_BROKER)
        except RemoteProtocolError as error:
            return self._refuse(sender, str(error))
        if isinstance(message, Join):
            return self._join(sender, message, now)
        if (member := self._members.get(sender)) is None:
            return [(sender, codec.encode(Unknown()), b"")]
        member.seen = now
        if isinstance(message, Beat):
            return []
        if isinstance(message, Leave):
            return self._leave(sender, member, now)
        event = _event(sender, message, payload, worker=member.worker)
        if event is None:
            return self._refuse(sender, f"{member.name} may not send {message.tag!r}")
        return self._perform(self._table.handle(event, now))

    def tick(self, now: float) -> list[Outgoing]:
        """Let go of members that have been silent for too long and return what is to be sent."""
        out: list[Outgoing] = []
        for identity, member in list(self._members.items()):
            if now >= member.seen + member.limit:
                reason = f"the worker {member.name} was silent for {member.limit:g} s"
                out += self._gone(identity, reason, now)
        self._next_tick = min((member.seen + member.limit for member in self._members.values()), default=None)
        return out

    def _join(self, sender: bytes, join: Join, now: float) -> list[Outgoing]:
        if join.version != PROTOCOL_VERSION:
            return self._refuse(
                sender,
                f"{join.kind} {join.name} speaks version {join.version} of the protocol, "
                f"this broker version {PROTOCOL_VERSION}",
            )
        out = self._succeed(sender, join, now)
        before = self._members.pop(sender, None)
        if before is not None and not before.worker:
            out += self._perform(self._table.handle(jobevents.ClientGone(sender), now))
        elif before is not None and join.kind != "worker":
            out += self._perform(self._table.handle(jobevents.WorkerGone(sender, "its worker left"), now))
        member = self._members[sender] = _Member(join.name, join.kind == "worker", now)
        due = now + member.limit
        self._next_tick = due if self._next_tick is None else min(self._next_tick, due)
        out.append((sender, codec.encode(Joined(self._broker)), b""))
        if member.worker:
            return out + self._perform(self._table.handle(jobevents.WorkerJoined(sender, join.slots), now))
        return [*out, (sender, codec.encode(Capacity(self.capacity)), b"")]

    def _succeed(self, sender: bytes, join: Join, now: float) -> list[Outgoing]:
        """Let go of the earlier life of a service that was started again: its chunks need not wait for silence."""
        for identity, member in self._members.items():
            if identity != sender and member.name == join.name and member.worker == (join.kind == "worker"):
                return self._gone(identity, f"the worker {member.name} was started again", now)
        return []

    def _gone(self, identity: bytes, reason: str, now: float) -> list[Outgoing]:
        member = self._members.pop(identity)
        event = jobevents.WorkerGone(identity, reason) if member.worker else jobevents.ClientGone(identity)
        return self._perform(self._table.handle(event, now))

    def _leave(self, sender: bytes, member: _Member, now: float) -> list[Outgoing]:
        """A worker that leaves stays a member until it falls silent: it still has chunks to answer for.

        It is told Unknown: whatever was assigned to it before was sent before, and nothing comes after.
        """
        if member.worker:
            out = self._perform(self._table.handle(jobevents.WorkerLeft(sender), now))
            return [*out, (sender, codec.encode(Unknown()), b"")]
        del self._members[sender]
        return self._perform(self._table.handle(jobevents.ClientGone(sender), now))

    def _refuse(self, sender: bytes, reason: str) -> list[Outgoing]:
        self.refused += 1
        return [(sender, codec.encode(Refused(reason)), b"")]

    def _perform(self, instructions: list[jobevents.Instruction]) -> list[Outgoing]:
        out: list[Outgoing] = []
        for instruction in instructions:
            match instruction:
                case jobevents.Assign(worker, job, chunk, task, payload):
                    out.append((worker, codec.encode(Run(job, chunk, task)), payload))
                case jobevents.Drop(worker, job, chunk):
                    out.append((worker, codec.encode(Drop(job, chunk)), b""))
                case jobevents.Deliver(client, job, chunk, seconds, payload):
                    out.append((client, codec.encode(Done(job, chunk, seconds)), payload))
                case jobevents.Fail(client, job, chunk, reason, payload):
                    out.append((client, codec.encode(Failed(job, chunk, reason)), payload))
                case jobevents.CapacityChanged(slots):
                    envelope = codec.encode(Capacity(slots))
                    out += [(to, envelope, b"") for to, member in self._members.items() if not member.worker]
        return out


def _event(sender: bytes, message: Message, payload: bytes, *, worker: bool) -> jobevents.Event | None:
    """Return what a message means to the job table; None where this kind of member may not send it."""
    match message:
        case Submit(job, chunk, task, retries) if not worker:
            return jobevents.Submitted(sender, job, chunk, task, retries, payload)
        case Cancel(job) if not worker:
            return jobevents.JobCancelled(sender, job)
        case Done(job, chunk, seconds) if worker:
            return jobevents.ChunkDone(sender, job, chunk, seconds, payload)
        case Failed(job, chunk, reason) if worker:
            return jobevents.ChunkFailed(sender, job, chunk, reason, payload)
        case Lost(job, chunk, reason) if worker:
            return jobevents.ChunkLost(sender, job, chunk, reason)
        case Returned(job, chunk) if worker:
            return jobevents.ChunkReturned(sender, job, chunk)
        case Slots(slots) if worker:
            return jobevents.SlotsChanged(sender, slots)
    return None
