"""The crew: a worker's slots, kept at their number, and the chunks that they run.

Owns the processes and carries out what the lineup decides. Knows nothing of the bus: what happens to
chunks is told by callbacks.
"""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.chunks import Failure
from databench.wire.messages import Done, Drop, Failed, Returned, Slots
from databench_worker.forks import Nursery, NurseryLostError, Slot
from databench_worker.guard import Guard
from databench_worker.lineup import Chunk, End, Give, Instruction, Key, Lineup, Lose, Return, TimeOut, Withdraw
from databench_worker.memory import in_words
from databench_worker.pipe import Frame

log = logging.getLogger("databench.worker")

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
WAITING = 64
"""Chunks for each slot that the crew takes at most; the broker stays far below."""


class Told(Protocol):
    """Who is told what happens to the chunks."""

    def answered(self, envelope: bytes, payload: bytes) -> None:
        """A chunk is done or has failed; to be passed on as it is."""

    def failed(self, key: Key, reason: str, failure: Failure) -> None:
        """A chunk has failed, and its slot cannot say so."""

    def lost(self, key: Key, reason: str) -> None:
        """A chunk's slot ended while it ran."""

    def returned(self, key: Key) -> None:
        """A chunk was not begun; it may run elsewhere."""

    def usable_changed(self, slots: int) -> None:
        """The crew has another number of usable slots."""

    def settled(self) -> None:
        """All that has happened by now is told."""


@dataclass(frozen=True, slots=True)
class CrewPlan:
    """What a crew consists of."""

    name: str
    slots: int
    analyses: Path
    memory: int = 0
    """Bytes that a slot may use; 0 for no limit."""
    renew_after: int = 0
    """Chunks after which a slot is replaced; 0 for never."""


class Crew:
    """The slots of a plan. `run` does the work until it is cancelled."""

    def __init__(self, plan: CrewPlan, told: Told, guard: Guard) -> None:
        self.ready = asyncio.Event()
        """Set as soon as all slots were ready once."""
        self.usable = 0
        """Slots that are ready or will be in a moment."""
        self._plan = plan
        self._told = told
        self._guard = guard
        self._loop = asyncio.get_running_loop()
        self._lineup = Lineup(plan.renew_after)
        self._slots: dict[int, Slot] = {}
        self._ends: dict[int, asyncio.Future[bool]] = {}
        self._useful: set[int] = set()
        self._unsent: set[int] = set()
        self._nursery: Nursery | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._quiet: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Keep the slots alive."""
        delay = _FIRST_DELAY
        plan = self._plan
        try:
            while True:
                try:
                    self._nursery = await Nursery.start(plan.analyses, plan.name, plan.memory, self._guard)
                except NurseryLostError as error:
                    log.error("no slots: %s; next try in %.1f s", error, delay)
                    await asyncio.sleep(delay)
                    delay = min(2 * delay, _LONGEST_DELAY)
                    continue
                delay = _FIRST_DELAY
                await self._run(self._nursery)
        finally:
            if self._timer is not None:
                self._timer.cancel()

    async def _run(self, nursery: Nursery) -> None:
        try:
            self._change_usable(self._plan.slots)
            async with asyncio.TaskGroup() as group:
                for _ in range(self._plan.slots):
                    group.create_task(self._keep(nursery))
            log.error("the process that forks slots ended: %s; starting another", nursery.lost.result())
            self._change_usable(0)
        finally:
            self._useful.update(self._slots)  # those that end with their nursery are not to blame for it
            await nursery.close()

    # For the worker, which calls `flush` after these

    def take(self, chunk: Chunk) -> None:
        """Run a chunk in an idle slot, or in the next one that is ready."""
        if self._lineup.chunks >= WAITING * self._plan.slots:
            self._told.returned(chunk.key)
            return
        self._perform(self._lineup.take(chunk, self._loop.time(), self._plan.slots))

    def drop(self, key: Key) -> None:
        """End a chunk, whose result is not wanted; unless it has just begun by ending its slot."""
        self._perform(self._lineup.drop(key, self._loop.time()))

    def drop_all(self) -> list[Key]:
        """End all chunks and return them."""
        keys = self._lineup.keys()
        for key in keys:
            self.drop(key)
        return keys

    def left_over(self) -> list[Key]:
        """Return the chunks that a crew which has failed did not answer: its slots have ended."""
        return self._lineup.keys()

    def withdraw(self) -> list[Key]:
        """Forget the chunks that no slot has and return them."""
        return self._lineup.withdraw()

    async def quiet(self) -> None:
        """Return when no chunk is to be answered."""
        if self._lineup.chunks:
            self._quiet = self._loop.create_future()
            await self._quiet

    # Slots

    async def _keep(self, nursery: Nursery) -> None:
        """Have one slot live after the other; one that ends without having had work waits before the next."""
        delay = _FIRST_DELAY
        while not nursery.lost.done():
            slot = nursery.fork(self)
            self._slots[slot.number] = slot
            end = self._ends[slot.number] = self._loop.create_future()
            if await end:
                delay = _FIRST_DELAY
                continue
            if nursery.lost.done():
                return
            self._change_usable(self.usable - 1)
            await asyncio.wait([nursery.lost], timeout=delay)
            delay = min(2 * delay, _LONGEST_DELAY)
            self._change_usable(self.usable + 1)

    def heard(self, slot: Slot, frames: list[Frame]) -> None:
        """A slot has answered, or is ready."""
        now = self._loop.time()
        for envelope, payload in frames:
            try:
                answer = codec.decode_one(envelope, (Slots, Done, Failed, Returned))
            except RemoteProtocolError as error:
                log.error("a slot sent what does not decode: %s", error)
                self._end(slot.number)
                return
            if isinstance(answer, Slots):
                self._perform(self._lineup.begin(slot.number, now))
                if self._lineup.ready >= self._plan.slots:
                    self.ready.set()
                continue
            assert isinstance(answer, (Done, Failed, Returned))
            self._useful.add(slot.number)
            wanted, out = self._lineup.answered(slot.number, (answer.job, answer.chunk), now)
            if wanted and payload is None:
                failure = Failure(None, "MemoryError", "the worker had no room for the results of the chunk", "")
                self._told.failed((answer.job, answer.chunk), "raised", failure)
            elif wanted and not isinstance(answer, Returned):
                self._told.answered(envelope, payload or b"")
            self._perform(out)
        self.flush()

    def ended(self, slot: Slot, how: str) -> None:
        """A slot's process has ended: what it ran is lost, what it was sent ahead is not."""
        # One that never had work waits before the next: something may be wrong with all of them.
        useful = slot.number in self._useful or self._lineup.busy(slot.number)
        self._useful.discard(slot.number)
        del self._slots[slot.number]
        self._perform(self._lineup.end(slot.number), self._explained(how))
        self.flush()
        if not useful:
            log.error("a slot ended without any work: %s", how)
        if not (end := self._ends.pop(slot.number)).done():
            end.set_result(useful)

    def _explained(self, how: str) -> str:
        if "SIGKILL" not in how:
            return how
        limit = f", and {in_words(self._plan.memory)}" if self._plan.memory else ""
        return f"{how}: by somebody, or by the system for want of memory{limit}"

    def _end(self, slot: int) -> None:
        if self._nursery is not None and slot in self._slots:
            self._useful.add(slot)
            self._nursery.kill(self._slots[slot])

    # Instructions

    def _perform(self, instructions: list[Instruction], how: str = "") -> None:
        for instruction in instructions:
            match instruction:
                case Give(slot, chunk):
                    self._send(slot, chunk.envelope, chunk.payload)
                case Withdraw(slot, key):
                    self._send(slot, codec.encode(Drop(*key)))
                case End(slot):
                    self._end(slot)
                case Return(key):
                    self._told.returned(key)
                case Lose(key):
                    self._told.lost(key, how)
                case TimeOut(key, timeout):
                    message = f"the chunk took longer than its limit of {timeout:g} s"
                    self._told.failed(key, "timeout", Failure(None, "TimeoutError", message, ""))

    def _send(self, slot: int, envelope: bytes, payload: bytes = b"") -> None:
        self._slots[slot].send(envelope, payload)
        self._unsent.add(slot)

    def flush(self) -> None:
        """Send what one turn of the loop has decided, each slot's in one go; to be called when it has."""
        for number in self._unsent:
            if (slot := self._slots.get(number)) is not None:
                slot.flush()
        self._unsent.clear()
        self._told.settled()
        self._schedule()
        if self._quiet is not None and not self._lineup.chunks and not self._quiet.done():
            self._quiet.set_result(None)

    def _schedule(self) -> None:
        """Have the timer ring no later than something is due; early is harmless."""
        due = self._lineup.due()
        if due is None or (self._timer is not None and self._timer.when() <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._guard, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._perform(self._lineup.tick(self._loop.time()))
        self.flush()

    def _change_usable(self, slots: int) -> None:
        if slots != self.usable:
            self.usable = slots
            self._told.usable_changed(slots)
