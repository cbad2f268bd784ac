"""The engine that runs chunks on the workers, through the broker.

Owns this runner's place on the chunk plane: it joins, beats, keeps what is not yet answered and submits it
again to a broker that does not know it. Large payloads stay in shared memory where workers can get at it. Decodes no
payload; knows no socket, only the Bus contract.
"""

import asyncio
import logging
import threading
from collections import deque
from dataclasses import dataclass

from databench.bus.contract import Bus
from databench.engines.contract import Order, Sink
from databench.errors import RemoteProtocolError
from databench.segments import Pool, Stored
from databench.wire import codec
from databench.wire.chunks import Failure
from databench.wire.membership import Event, Membership, Say, Standing
from databench.wire.messages import (
    FROM_BROKER,
    PROTOCOL_VERSION,
    Beat,
    Cancel,
    Capacity,
    Done,
    Failed,
    Join,
    Joined,
    Leave,
    Message,
    Refused,
    Submit,
    Unknown,
)
from databench.wire.outbox import Outbox, inline, read
from databench.wire.parts import Parts, Source, joined, size_of
from databench.wire.references import UNREADABLE, Reference, Sharing

log = logging.getLogger("databench.jobs")

AT_BROKER = 4000
"""Chunks that are handed to the broker at most, which refuses more than 4,096; further ones wait here."""
BYTES_AT_BROKER = 64 * 2**20
"""Bytes of their items at most; a larger chunk goes alone."""
BEAT = 1.0
JOIN_AGAIN = 5
"""Beats after which a join is repeated to a broker that says nothing."""


@dataclass(slots=True, eq=False)
class _Chunk:
    order: Order
    payload: Source
    sink: Sink
    at_broker: bool = False
    wanted: bool = True

    @property
    def travels(self) -> bytes:
        """What the broker gets: the payload, or the reference to it."""
        return self.payload.reference if isinstance(self.payload, Stored) else self.payload[:]


class BusEngine:
    """Runs chunks on the workers of the bus; the runner passes on what its listener hears.

    `start` begins, `dispatched`, `bus_up` and `bus_down` are called as a Listener's, `stop` ends.
    `submit` and `cancel` may be called from any thread.
    """

    def __init__(self, name: str, bus: Bus) -> None:
        self._name = name
        self._bus = bus
        self._loop = asyncio.get_running_loop()
        self._beats: asyncio.Task[None] | None = None
        self._membership = Membership(JOIN_AGAIN)
        self._capacity = 0
        self._jobs: dict[str, dict[int, _Chunk]] = {}
        self._waiting: deque[_Chunk] = deque()
        self._chunks_at_broker = self._bytes_at_broker = 0
        self._outbox = Outbox()
        self._sharing = Sharing()
        self._pool = Pool()
        self._orders: list[_Chunk | str] = []
        self._lock = threading.Lock()

    @property
    def capacity(self) -> int:
        """Usable slots of all workers, as the broker last told."""
        return self._capacity

    # From any thread

    def hold(self, task: str, parts: Parts) -> Source:
        """Return the calls of a chunk as they are now, in shared memory where that is worth while."""
        stored = None
        if self._sharing.worth(task, size_of(parts), self._loop.time()):
            stored = self._pool.store(parts)
        return joined(parts) if stored is None else stored

    def submit(self, order: Order, payload: Source, sink: Sink) -> None:
        """Have a chunk run; it is kept until it is answered (the look-ahead of the jobs bounds how many)."""
        self._pass_on(_Chunk(order, payload, sink))

    def cancel(self, job: str) -> None:
        """Forget a job and have its running chunks ended."""
        self._pass_on(job)

    def _pass_on(self, order: "_Chunk | str") -> None:
        """Pass an order to the loop; what is ordered before the loop gets to it travels together."""
        with self._lock:
            self._orders.append(order)
            if len(self._orders) > 1 or self._loop.is_closed():
                return
        self._loop.call_soon_threadsafe(self._carry_out)

    # On the loop

    async def start(self) -> None:
        """Join the broker, now or when the bus is up."""
        self._beats = self._loop.create_task(self._beat(), name="beats of the bus engine")
        if self._bus.up:
            self.bus_up()

    async def stop(self) -> None:
        """Leave: the broker cancels what is not answered."""
        if self._beats is not None:
            self._beats.cancel()
            await asyncio.wait([self._beats])
        self._jobs.clear()
        self._waiting.clear()
        self._pool.close()
        if self._membership.standing is not Standing.DOWN:
            self._say(Leave())
        self._membership.handle(Event.DOWN)

    def bus_up(self) -> None:
        """Join the broker."""
        self._proceed(Event.UP)

    def bus_down(self) -> None:
        """Keep what is not answered until a broker is there again."""
        self._membership.handle(Event.DOWN)
        self._capacity = 0

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Take what the broker sent in one go."""
        try:
            received = read(envelope, payload, FROM_BROKER)
        except RemoteProtocolError as error:
            log.warning("the broker sent what does not decode: %s", error)
            return
        for message, own_payload in received:
            self._take(message, own_payload)
        self._send_waiting()

    def _take(self, message: Message, payload: bytes) -> None:
        match message:
            case Done(job, number, seconds):
                if (chunk := self._answered(job, number)) is not None:
                    self._done(chunk, seconds, payload)
            case Failed(job, number, reason):
                if (chunk := self._answered(job, number)) is not None:
                    self._failed(chunk, reason, payload)
            case Capacity(slots):
                self._capacity = slots
            case Joined():
                self._joined()
            case Unknown():
                self._proceed(Event.UNKNOWN)
            case Refused(reason):
                log.error("the broker refuses the runner %s: %s", self._name, reason)

    def _done(self, chunk: _Chunk, seconds: float, payload: Source) -> None:
        stored = chunk.payload if isinstance(chunk.payload, Stored) else None
        try:
            if (reference := Reference.of(payload)) is not None:
                if stored is None:
                    raise RemoteProtocolError("a worker refers to an answer where there can be none")
                payload = stored.answer(reference)
        except RemoteProtocolError as error:
            log.warning("%s", error)
            failure = Failure(None, "Refused", str(error), "")
            self._failed(chunk, UNREADABLE, failure.to_bytes())
            return
        self._sharing.answered(chunk.order.task, len(payload))
        chunk.sink.done(chunk.order.chunk, seconds, payload)

    def _failed(self, chunk: _Chunk, reason: str, payload: bytes) -> None:
        """Pass a failure on; a chunk whose reference could not be opened goes again, with its payload."""
        if reason != UNREADABLE or not isinstance(chunk.payload, Stored):
            # What was sent in full and cannot be read will not be read another time.
            chunk.sink.failed(chunk.order.chunk, "refused" if reason == UNREADABLE else reason, payload)
            return
        self._sharing.unreadable(self._loop.time())
        self._keep(_Chunk(chunk.order, chunk.payload[:], chunk.sink))

    def _keep(self, chunk: _Chunk) -> None:
        """Have a chunk submitted as soon as there is room."""
        self._jobs.setdefault(chunk.order.job, {})[chunk.order.chunk] = chunk
        self._waiting.append(chunk)

    def _carry_out(self) -> None:
        with self._lock:
            orders, self._orders = self._orders, []
        for order in orders:
            if isinstance(order, str):
                self._forget(order)
            else:
                self._keep(order)
        self._send_waiting()

    def _forget(self, job: str) -> None:
        chunks = self._jobs.pop(job, {}).values()
        for chunk in chunks:
            chunk.wanted = False
            self._count_out(chunk)
        if any(chunk.at_broker for chunk in chunks) and self._membership.joined:
            self._outbox.add(b"", Cancel(job))

    def _answered(self, job: str, number: int) -> _Chunk | None:
        """Return the chunk that is answered; None where it was answered before or is not wanted any more."""
        chunks = self._jobs.get(job)
        chunk = chunks.pop(number, None) if chunks else None
        if chunk is None:
            return None
        chunk.wanted = False
        self._count_out(chunk)
        if not chunks:
            del self._jobs[job]
        return chunk

    def _count_out(self, chunk: _Chunk) -> None:
        if chunk.at_broker:
            self._chunks_at_broker -= 1
            self._bytes_at_broker -= len(chunk.payload)

    def _send_waiting(self) -> None:
        """Submit what there is room for at the broker, and send everything that waits to be sent."""
        while self._membership.joined and self._waiting and self._room(self._waiting[0]):
            chunk = self._waiting.popleft()
            if chunk.wanted:
                chunk.at_broker = True
                self._chunks_at_broker += 1
                self._bytes_at_broker += len(chunk.payload)
                travels = chunk.travels
                self._outbox.add(b"", _submit(chunk.order, travels), travels)
        for _, envelope, payload in self._outbox.take():
            self._bus.dispatch(envelope, payload)

    def _room(self, chunk: _Chunk) -> bool:
        if not self._chunks_at_broker:
            return True
        return self._chunks_at_broker < AT_BROKER and self._bytes_at_broker + len(chunk.payload) <= BYTES_AT_BROKER

    def _say(self, message: Message) -> None:
        self._outbox.add(b"", message)
        self._send_waiting()

    def _proceed(self, event: Event) -> None:
        """Say what an event asks for."""
        match self._membership.handle(event):
            case Say.JOIN:
                self._say(Join("runner", self._name, PROTOCOL_VERSION, 0))
            case Say.BEAT:
                self._say(Beat())

    def _joined(self) -> None:
        """A broker that has just taken us in knows none of our chunks: it is new, or it had lost us."""
        self._membership.handle(Event.TAKEN_IN)
        self._chunks_at_broker = self._bytes_at_broker = 0
        chunks = [chunk for job in self._jobs.values() for chunk in job.values()]
        for chunk in chunks:
            chunk.at_broker = False
        self._waiting = deque(chunks)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self._pool.trim()
            self._proceed(Event.BEAT)


def _submit(order: Order, payload: bytes) -> Submit:
    rank = codec.fold(order.priority)
    return Submit(
        order.job,
        order.chunk,
        order.task,
        order.retries,
        order.timeout,
        order.group,
        rank,
        inline(payload),
    )
