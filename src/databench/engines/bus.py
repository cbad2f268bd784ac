"""The engine that runs chunks on the workers, through the broker.

Owns this runner's place on the chunk plane: it joins, beats, keeps what is not yet answered and submits it
again to a broker that does not know it. Decodes no payload; knows no socket, only the Bus contract.
"""

import asyncio
import logging
import threading
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from databench.bus.contract import Bus
from databench.engines.contract import Order, Sink
from databench.errors import RemoteProtocolError
from databench.wire import codec
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
    Refused,
    Submit,
    Unknown,
)

log = logging.getLogger("databench.jobs")

AT_BROKER = 4000
"""Chunks that are handed to the broker at most, which refuses more than 4,096; further ones wait here."""
BEAT = 1.0
JOIN_AGAIN = 5
"""Beats after which a join without an answer is repeated."""


class Standing(Enum):
    """Where this runner stands with the broker."""

    DOWN = auto()
    JOINING = auto()
    JOINED = auto()


@dataclass(frozen=True, slots=True)
class _Chunk:
    submit: Submit
    payload: bytes
    sink: Sink


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
        self._standing = Standing.DOWN
        self._capacity = 0
        self._unanswered: dict[tuple[str, int], _Chunk] = {}
        self._waiting: deque[tuple[str, int]] = deque()
        self._orders: list[_Chunk | str] = []
        self._lock = threading.Lock()

    @property
    def capacity(self) -> int:
        """Usable slots of all workers, as the broker last told."""
        return self._capacity

    # From any thread

    def submit(self, order: Order, payload: bytes, sink: Sink) -> None:
        """Have a chunk run; it is kept until it is answered (the look-ahead of the jobs bounds how many)."""
        self._pass_on(_Chunk(Submit(order.job, order.chunk, order.task, order.retries), payload, sink))

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
        if self._standing is not Standing.DOWN:
            self._bus.dispatch(codec.encode(Leave()))
        self._standing = Standing.DOWN
        self._unanswered.clear()
        self._waiting.clear()

    def bus_up(self) -> None:
        """Join the broker."""
        if self._standing is Standing.DOWN:
            self._join()

    def bus_down(self) -> None:
        """Keep what is not answered until a broker is there again."""
        self._standing = Standing.DOWN
        self._capacity = 0

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Take a message of the broker."""
        try:
            message = codec.decode_one(envelope, FROM_BROKER)
        except RemoteProtocolError as error:
            log.warning("the broker sent what does not decode: %s", error)
            return
        match message:
            case Done(job, chunk, seconds):
                if (answered := self._answered(job, chunk)) is not None:
                    answered.sink.done(chunk, seconds, payload)
            case Failed(job, chunk, reason):
                if (answered := self._answered(job, chunk)) is not None:
                    answered.sink.failed(chunk, reason, payload)
            case Capacity(slots):
                self._capacity = slots
            case Joined():
                self._joined()
            case Unknown() if self._standing is Standing.JOINED:
                self._join()
            case Refused(reason):
                log.error("the broker refuses the runner %s: %s", self._name, reason)

    def _carry_out(self) -> None:
        with self._lock:
            orders, self._orders = self._orders, []
        for order in orders:
            if isinstance(order, str):
                self._forget(order)
            else:
                key = (order.submit.job, order.submit.chunk)
                self._unanswered[key] = order
                self._waiting.append(key)
        self._send_waiting()

    def _forget(self, job: str) -> None:
        keys = [key for key in self._unanswered if key[0] == job]
        for key in keys:
            del self._unanswered[key]
        if keys:
            self._waiting = deque(key for key in self._waiting if key[0] != job)
            self._send(codec.encode(Cancel(job)))

    def _answered(self, job: str, chunk: int) -> _Chunk | None:
        """Return the chunk that is answered; None where it was answered before or is not wanted any more."""
        answered = self._unanswered.pop((job, chunk), None)
        if self._waiting:
            self._send_waiting()
        return answered

    def _send_waiting(self) -> None:
        if self._standing is not Standing.JOINED:
            return
        while self._waiting and len(self._unanswered) - len(self._waiting) < AT_BROKER:
            chunk = self._unanswered.get(self._waiting.popleft())
            if chunk is not None:
                self._send(codec.encode(chunk.submit), chunk.payload)

    def _send(self, envelope: bytes, payload: bytes = b"") -> None:
        if self._standing is Standing.JOINED:
            self._bus.dispatch(envelope, payload)

    def _join(self) -> None:
        self._standing = Standing.JOINING
        self._bus.dispatch(codec.encode(Join("runner", self._name, PROTOCOL_VERSION, 0)))

    def _joined(self) -> None:
        """A broker that has just taken us in knows none of our chunks: it is new, or it had lost us."""
        self._standing = Standing.JOINED
        self._waiting = deque(self._unanswered)
        self._send_waiting()

    async def _beat(self) -> None:
        unanswered = 0
        while True:
            await asyncio.sleep(BEAT)
            if self._standing is Standing.JOINED:
                unanswered = 0
                self._bus.dispatch(codec.encode(Beat()))
            elif self._standing is Standing.JOINING and (unanswered := unanswered + 1) % JOIN_AGAIN == 0:
                self._join()
