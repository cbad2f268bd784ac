"""The worker's parent: its place on the chunk plane, from joining to handing back what is not finished.

Owns the talk with the broker. Slots are the crew's; payloads are passed on undecoded.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from databench.bus.contract import Bus
from databench.errors import BusError, RemoteProtocolError
from databench.wire import codec
from databench.wire.chunks import Failure
from databench.wire.membership import Event, Membership, Say
from databench.wire.messages import (
    FROM_BROKER,
    PROTOCOL_VERSION,
    Beat,
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
    Unknown,
)
from databench.wire.outbox import Outbox, read
from databench_worker.crew import Crew, CrewPlan
from databench_worker.guard import Guard
from databench_worker.lineup import Chunk, Key

log = logging.getLogger("databench.worker")

BEAT = 0.5
JOIN_AGAIN = 10
"""Beats after which a join is repeated to a broker that says nothing."""
GRACE = 3.0
"""Seconds that running chunks have to finish when the worker stops; the service's own deadline is 4 s."""


class Worker:
    """A worker service: joins with its slots, runs what it is given, and drains when it stops."""

    kind = "worker"
    topics: Sequence[bytes] = ()

    def __init__(self, plan: CrewPlan, *, grace: float = GRACE, failed: Callable[[], object] = lambda: None) -> None:
        self.failure: BaseException | None = None
        """What the worker itself died of; `failed` is called then, and whoever runs it stops it."""
        self._failed = failed
        self.name = plan.name
        self._grace = grace
        self._guard = Guard()
        self._crew = Crew(plan, self, self._guard)
        self._bus: Bus | None = None
        self._outbox = Outbox()
        self._sending = False
        self._life: asyncio.Task[None] | None = None
        self._membership = Membership(JOIN_AGAIN)
        self._stopping = False
        self._taken_in = asyncio.Event()
        self._left = asyncio.Event()
        self._refused: str | None = None

    # The service

    async def start(self, bus: Bus) -> None:
        """Return when all slots are ready and the broker has taken the worker in. Raises BusError if it refuses."""
        self._bus = bus
        self._life = asyncio.create_task(self._run(), name=f"worker {self.name}")
        self._life.add_done_callback(self._report_end)
        await self._unless_ended(self._crew.ready)
        if bus.up:
            self.bus_up()
        await self._unless_ended(self._taken_in)
        if self._refused is not None:
            raise BusError(self._refused)

    async def stop(self) -> None:
        """Finish what runs within the grace time and hand back the rest."""
        # 1. Nothing new comes, as soon as the broker has answered; what was not begun goes back.
        self._stopping = True
        begun = asyncio.get_running_loop().time()
        self._send(Leave())
        self._return(self._crew.withdraw())
        # 2. What runs may finish, while somebody is there to take it; the beats go on meanwhile.
        if self._joined and self.failure is None:
            try:
                async with asyncio.timeout(self._grace):
                    await self._crew.quiet()
            except TimeoutError:
                log.warning("handing back chunks that did not finish within %g s", self._grace)
        # 3. The rest goes back, and what was on its way here when we left.
        self._return(self._crew.drop_all() if self.failure is None else self._crew.left_over())
        self._crew.flush()
        if self._joined:
            with contextlib.suppress(TimeoutError):
                # What a busy broker sends before it knows would be lost here.
                async with asyncio.timeout_at(begun + self._grace + BEAT):
                    await self._left.wait()
        # 4. The slots end.
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        self._flush()
        self._membership.handle(Event.DOWN)

    def detail(self) -> bytes:
        """Nothing to tell."""
        return b""

    # The bus

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        """A worker hears nothing of the signal plane."""

    def bus_up(self) -> None:
        """Join, when the slots are ready."""
        if self._crew.ready.is_set():
            self._proceed(Event.UP)

    def bus_down(self) -> None:
        """Wait for the broker. What runs goes on until another broker, which does not know it, takes us in."""
        self._membership.handle(Event.DOWN)
        self._outbox.take()
        self._left.set()

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Take what the broker sent in one go."""
        self._guard(self._take_all, envelope, payload)

    def _take_all(self, envelope: bytes, payload: bytes) -> None:
        try:
            received = read(envelope, payload, FROM_BROKER)
        except RemoteProtocolError as error:
            log.warning("the broker sent what does not decode: %s", error)
            return
        for message, own_payload in received:
            self._take(message, own_payload, envelope if len(received) == 1 else None)
        self._crew.flush()

    def _take(self, message: Message, payload: bytes, envelope: bytes | None) -> None:
        """Take a message, and with it the envelope in which it came where it was alone in that."""
        match message:
            case Run() if not self._stopping:
                key = (message.job, message.chunk)
                own_frame = payload if message.payload is None else b""
                self._crew.take(Chunk(key, message.timeout, envelope or codec.encode(message), own_frame))
            case Run(job, chunk):
                self._return([(job, chunk)])
            case Drop(job, chunk):
                self._crew.drop((job, chunk))
            case Joined():
                self._begin()
            case Unknown() if self._stopping:
                self._left.set()
            case Unknown():
                self._proceed(Event.UNKNOWN)
            case Refused(reason):
                log.error("the broker refuses the worker %s: %s", self.name, reason)
                if not self._joined:
                    self._refused = reason
                    self._taken_in.set()

    @property
    def _joined(self) -> bool:
        return self._membership.joined

    # The crew

    def answered(self, envelope: bytes, payload: bytes) -> None:
        """Pass an answer on."""
        if self._joined:
            self._outbox.pass_on(b"", envelope, payload)

    def failed(self, key: Key, reason: str, failure: Failure) -> None:
        """Answer for a slot that cannot."""
        self._send(Failed(*key, reason, failure.to_bytes()))

    def lost(self, key: Key, reason: str) -> None:
        """Report the end of a slot that ran a chunk."""
        log.warning("a slot ended while it ran a chunk: %s", reason)
        self._send(Lost(*key, reason))

    def returned(self, key: Key) -> None:
        """Give a chunk back."""
        self._send(Returned(*key))

    def usable_changed(self, slots: int) -> None:
        """Tell how many slots there are."""
        self._send(Slots(slots))

    def settled(self) -> None:
        """Send it, in one go."""
        self._flush()

    def _proceed(self, event: Event) -> None:
        """Say what an event asks for; one that stops does not join any more."""
        say = self._membership.handle(event)
        if say is Say.BEAT:
            self._say(Beat())
        elif say is Say.JOIN and not self._stopping:
            self._outbox.take()  # what is of an earlier membership would mean something else in the next
            self._say(Join(self.kind, self.name, PROTOCOL_VERSION, self._crew.usable))

    def _say(self, message: Message) -> None:
        """Say what is about this worker itself, behind all that it has said."""
        self._outbox.add(b"", message)
        self._flush()

    def _begin(self) -> None:
        """The broker that takes us in counts on idle slots: whatever still runs, it has given to others."""
        self._membership.handle(Event.TAKEN_IN)
        self._refused = None
        self._left.clear()
        self._crew.drop_all()
        self._send(Slots(self._crew.usable))
        self._taken_in.set()

    def _return(self, keys: list[Key]) -> None:
        for key in keys:
            self._send(Returned(*key))

    def _send(self, message: Message) -> None:
        if self._joined:
            self._outbox.add(b"", message)
            self._send_soon()

    def _send_soon(self) -> None:
        """What one turn of the loop has to say travels together."""
        if not self._sending:
            self._sending = True
            asyncio.get_running_loop().call_soon(self._guard, self._flush)

    def _flush(self) -> None:
        self._sending = False
        if self._bus is not None:
            for _, envelope, payload in self._outbox.take():
                self._bus.dispatch(envelope, payload)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._crew.run())
            group.create_task(self._beat())
            group.create_task(self._guard.broken())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            self._proceed(Event.BEAT)

    async def _unless_ended(self, event: asyncio.Event) -> None:
        """Wait for an event, or raise what the worker's task died of."""
        assert self._life is not None
        waiting = asyncio.create_task(event.wait())
        try:
            await asyncio.wait([waiting, self._life], return_when=asyncio.FIRST_COMPLETED)
            if self._life.done():
                self._life.result()
        finally:
            waiting.cancel()

    def _report_end(self, life: "asyncio.Task[None]") -> None:
        """A worker that fails leaves, so that its chunks run elsewhere, and has its process end."""
        if not life.cancelled() and (error := life.exception()) is not None:
            log.critical("the worker failed", exc_info=error)
            self.failure = error
            self._send(Leave())
            self._failed()
