"""The broker's side of the chunk plane: bytes in, bytes out.

Owns who is a member and for how long silence is taken for life. Decides nothing about chunks (jobtable) and
never decodes a payload. The ZeroMQ broker and the bus in memory both run this class; time is an argument.
"""

from dataclasses import dataclass
from math import inf

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
from databench.wire.outbox import Outbox, Outgoing, inline, read

WORKER_SILENCE = 2.5
"""Seconds after which a worker that sends nothing is taken for lost, and its chunks run elsewhere."""
CLIENT_SILENCE = 30.0
"""The same for a runner: longer, since an author's handler may keep its loop, and its jobs die with it."""


@dataclass(slots=True)
class _Member:
    name: str
    worker: bool
    seen: float
    cut_off: bool = False
    """Whether its connection was closed since it joined, so that it may have missed something."""

    @property
    def limit(self) -> float:
        return WORKER_SILENCE if self.worker else CLIENT_SILENCE


class Dispatcher:
    """One broker's members and jobs.

    `broker` names this start of the broker. Hand every message to `receive`, and call `tick` when `next_tick`
    has come, after everything that waits has been received: a broker that was kept from
    reading must not take others for dead. Then send what `outgoing` returns.

    >>> dispatcher = Dispatcher("b1")
    >>> join = codec.encode(Join("worker", "w1", PROTOCOL_VERSION, 4))
    >>> dispatcher.receive(b"w", join, b"", now=0.0)
    >>> [(receiver, envelope, _)] = dispatcher.outgoing()
    >>> receiver, codec.decode_one(envelope, (Joined,))
    (b'w', Joined(broker='b1'))
    """

    def __init__(self, broker: str) -> None:
        self.refused = 0
        """Messages that did not decode or that their sender may not send."""
        self._broker = broker
        self._table = JobTable()
        self._outbox = Outbox()
        self._members: dict[bytes, _Member] = {}
        self._next_expiry: float | None = None

    @property
    def next_tick(self) -> float | None:
        """The time at which `tick` should be called; None while there is nobody to watch."""
        due, expiry = self._table.due, self._next_expiry
        if due is None or expiry is None:
            return expiry if due is None else due
        return min(due, expiry)

    @property
    def capacity(self) -> int:
        """Usable slots of all workers."""
        return self._table.capacity

    @property
    def late(self) -> int:
        """Answers of workers that came too late and were dropped."""
        return self._table.late

    def receive(self, sender: bytes, envelope: bytes, payload: bytes, now: float) -> None:
        """Take in what came in one go from one sender."""
        try:
            received = read(envelope, payload, TO_BROKER)
        except RemoteProtocolError as error:
            self._refuse(sender, str(error))
            return
        events: list[jobevents.Event] = []
        for message, own_payload in received:
            member = self._members.get(sender)
            if member is not None and not member.cut_off:
                member.seen = now
                if (event := _event(sender, message, own_payload, worker=member.worker)) is not None:
                    events.append(event)
                    continue
            # What is about the sender itself comes after what it said before.
            self._handle(events, now)
            events = []
            self._take(sender, member, message, now)
        self._handle(events, now)

    def tick(self, now: float) -> None:
        """Let go of members that have been silent for too long, and give chunks to slots that are about to be free."""
        self._handle([jobevents.Due()], now)
        for identity, member in list(self._members.items()):
            if now >= member.seen + member.limit:
                self._gone(identity, f"the worker {member.name} was silent for {member.limit:g} s", now)
        self._next_expiry = min((member.seen + member.limit for member in self._members.values()), default=None)

    def held_up(self, seconds: float, now: float) -> None:
        """Learn that the broker did nothing for so long: so may have all others on this machine, who are no less alive.

        Call it before `tick`.
        """
        for member in self._members.values():
            member.seen = min(member.seen + seconds, now)

    def disconnected(self, identity: bytes, now: float) -> None:
        """Learn that a connection was closed, and with it what was under way lost.

        A worker is let go: its process has ended. One that is only cut off finds out that it is not known here and
        joins again; its chunks run twice then, and what it says of them is late. A runner is given time to come
        back. It is told that it is not known then, joins again and submits what is unanswered for it.
        """
        if (member := self._members.get(identity)) is None:
            return
        if member.worker:
            self._gone(identity, f"the worker {member.name} has ended", now)
        else:
            member.cut_off = True

    def outgoing(self) -> list[Outgoing]:
        """Return what is to be sent by now."""
        return self._outbox.take()

    def _take(self, sender: bytes, member: _Member | None, message: Message, now: float) -> None:
        """Take what is not for the job table."""
        if isinstance(message, Join):
            self._join(sender, message, now)
        elif member is None or (member.cut_off and not isinstance(message, Leave)):
            self._outbox.add(sender, Unknown())
        elif isinstance(message, Leave):
            self._leave(sender, member, now)
        elif not isinstance(message, Beat):
            self._refuse(sender, f"{member.name} may not send this {message.tag!r}")

    def _join(self, sender: bytes, join: Join, now: float) -> None:
        if join.version != PROTOCOL_VERSION:
            self._refuse(
                sender,
                f"{join.kind} {join.name} speaks version {join.version} of the protocol, "
                f"this broker version {PROTOCOL_VERSION}",
            )
            return
        self._succeed(sender, join, now)
        before = self._members.pop(sender, None)
        if before is not None and not before.worker:
            self._handle([jobevents.ClientGone(sender)], now)
        member = self._members[sender] = _Member(join.name, join.kind == "worker", now)
        expires = now + member.limit
        self._next_expiry = expires if self._next_expiry is None else min(self._next_expiry, expires)
        self._outbox.add(sender, Joined(self._broker))
        if member.worker:
            self._handle([jobevents.WorkerJoined(sender, join.slots)], now)
        else:
            self._outbox.add(sender, Capacity(self.capacity))

    def _succeed(self, sender: bytes, join: Join, now: float) -> None:
        """Let go of the earlier life of a service that was started again: its chunks need not wait for silence."""
        for identity, member in list(self._members.items()):
            if identity != sender and member.name == join.name and member.worker == (join.kind == "worker"):
                self._gone(identity, f"the worker {member.name} was started again", now)

    def _gone(self, identity: bytes, reason: str, now: float) -> None:
        member = self._members.pop(identity)
        event = jobevents.WorkerGone(identity, reason) if member.worker else jobevents.ClientGone(identity)
        self._handle([event], now)

    def _leave(self, sender: bytes, member: _Member, now: float) -> None:
        """A worker that leaves stays a member until it falls silent: it still has chunks to answer for.

        It is told Unknown: whatever was assigned to it before was sent before, and nothing comes after.
        """
        if member.worker:
            self._handle([jobevents.WorkerLeft(sender)], now)
            self._outbox.add(sender, Unknown())
            return
        del self._members[sender]
        self._handle([jobevents.ClientGone(sender)], now)

    def _refuse(self, sender: bytes, reason: str) -> None:
        self.refused += 1
        self._outbox.add(sender, Refused(reason))

    def _handle(self, events: list[jobevents.Event], now: float) -> None:
        """Have the job table decide, and say what it orders."""
        if not events:
            return
        add = self._outbox.add
        for instruction in self._table.handle_all(events, now):
            match instruction:
                case jobevents.Assign(worker, job, chunk, task, timeout, payload):
                    add(worker, Run(job, chunk, task, timeout, inline(payload)), payload)
                case jobevents.Deliver(client, job, chunk, seconds, payload):
                    add(client, Done(job, chunk, seconds, inline(payload)), payload)
                case jobevents.Fail(client, job, chunk, reason, payload):
                    add(client, Failed(job, chunk, reason, inline(payload)), payload)
                case jobevents.Drop(worker, job, chunk):
                    add(worker, Drop(job, chunk))
                case jobevents.CapacityChanged(slots):
                    for identity, member in self._members.items():
                        if not member.worker:
                            add(identity, Capacity(slots))


def _event(sender: bytes, message: Message, payload: bytes, *, worker: bool) -> jobevents.Event | None:
    """Return what a message means to the job table; None where this kind of member may not send it."""
    match message:
        case Submit(job, chunk, task, retries, timeout, group, rank) if not worker and 0 <= timeout < inf:
            return jobevents.Submitted(sender, job, chunk, task, payload, retries, timeout, group, codec.unfold(rank))
        case Cancel(job) if not worker:
            return jobevents.JobCancelled(sender, job)
        case Done(job, chunk, seconds) if worker and 0 <= seconds < inf:
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
