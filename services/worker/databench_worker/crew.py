"""The crew: a worker's slots, kept at their number, and the chunks that they run.

Owns which slot has which chunk, and replaces slots that end. Knows nothing of the bus: what happens to
chunks is told by callbacks.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import Done, Failed, Slots
from databench_worker.forks import Nursery, NurseryLostError, Slot

log = logging.getLogger("databench.worker")

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0

Key = tuple[str, int]
"""A chunk: its job and its number."""


class Told(Protocol):
    """Who is told what happens to the chunks."""

    def answered(self, envelope: bytes, payload: bytes) -> None:
        """A chunk is done or has failed; to be passed on as it is."""

    def lost(self, key: Key, reason: str) -> None:
        """A chunk's slot ended."""

    def usable_changed(self, slots: int) -> None:
        """The crew has another number of usable slots."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    key: Key
    envelope: bytes
    payload: bytes


class Crew:
    """`slots` processes that run chunks. `run` does the work until it is cancelled."""

    def __init__(self, name: str, slots: int, analyses: Path, told: Told) -> None:
        self.ready = asyncio.Event()
        """Set as soon as all slots were ready once."""
        self.usable = 0
        """Slots that are ready or will be in a moment."""
        self._name = name
        self._count = slots
        self._analyses = analyses
        self._told = told
        self._idle: list[Slot] = []
        self._running: dict[Key, Slot] = {}
        self._by_slot: dict[Slot, Key] = {}
        self._waiting: deque[_Chunk] = deque()
        self._kill: Callable[[Slot], None] = Slot.close
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def run(self) -> None:
        """Keep the slots alive."""
        delay = _FIRST_DELAY
        while True:
            try:
                nursery = await Nursery.start(self._analyses, self._name)
            except NurseryLostError as error:
                log.error("no slots: %s; next try in %.1f s", error, delay)
                await asyncio.sleep(delay)
                delay = min(2 * delay, _LONGEST_DELAY)
                continue
            try:
                self._kill = nursery.kill
                self._change_usable(self._count)
                async with asyncio.TaskGroup() as group:
                    for _ in range(self._count):
                        group.create_task(self._keep(nursery))
                delay = _FIRST_DELAY
                log.error("the process that forks slots ended: %s; starting another", nursery.lost.result())
                self._change_usable(0)
            finally:
                await nursery.close()

    def take(self, key: Key, envelope: bytes, payload: bytes) -> None:
        """Run a chunk in an idle slot, or in the next one that is ready."""
        chunk = _Chunk(key, envelope, payload)
        if self._idle:
            self._give(self._idle.pop(), chunk)
        elif len(self._waiting) < self._count:
            self._waiting.append(chunk)  # its slot is being replaced
        else:
            self._told.lost(key, f"{self._name} was given more chunks than it has slots")

    def drop(self, key: Key) -> None:
        """End a chunk, whose result is not wanted, by ending its slot."""
        self._waiting = deque(chunk for chunk in self._waiting if chunk.key != key)
        if (slot := self._running.get(key)) is not None:
            self._release(slot)
            self._kill(slot)

    def drop_all(self) -> list[Key]:
        """End all chunks and return them."""
        keys = [chunk.key for chunk in self._waiting] + list(self._running)
        for key in keys:
            self.drop(key)
        return keys

    def withdraw(self) -> list[Key]:
        """Forget the chunks that were not begun and return them."""
        keys = [chunk.key for chunk in self._waiting]
        self._waiting.clear()
        return keys

    async def quiet(self) -> None:
        """Return when no chunk runs."""
        await self._quiet.wait()

    async def _keep(self, nursery: Nursery) -> None:
        """Have one slot live after the other; one that ends without having had work waits before the next."""
        delay = _FIRST_DELAY
        while not nursery.lost.done():
            try:
                slot = await nursery.fork()
                useful = await self._live(slot)
            except NurseryLostError:
                return
            if useful:
                delay = _FIRST_DELAY
                continue
            if nursery.lost.done():
                return
            log.error("a slot ended without any work: %s; next try in %.1f s", slot.ended.result(), delay)
            self._change_usable(self.usable - 1)
            await asyncio.wait([nursery.lost], timeout=delay)
            delay = min(2 * delay, _LONGEST_DELAY)
            self._change_usable(self.usable + 1)

    async def _live(self, slot: Slot) -> bool:
        """Accompany a slot to its end; return whether it had work."""
        worked = ready = False
        try:
            codec.decode_one(await slot.receive(), (Slots,))
            ready = True
            self._next(slot)
            self._say_ready()
            while True:
                envelope, payload = await slot.receive(), await slot.receive()
                answer = codec.decode_one(envelope, (Done, Failed))
                assert isinstance(answer, Done | Failed)
                worked = True
                # a chunk that was dropped a moment ago: its slot is about to end
                if self._by_slot.get(slot) == (answer.job, answer.chunk):
                    self._release(slot)
                    self._told.answered(envelope, payload)
                    self._next(slot)
        except (EOFError, RemoteProtocolError):
            self._kill(slot)
            how = await slot.ended
            worked = worked or (ready and slot not in self._idle)
            if (key := self._release(slot)) is not None:
                self._told.lost(key, how)
            return worked
        finally:
            if slot in self._idle:
                self._idle.remove(slot)
            slot.close()

    def _say_ready(self) -> None:
        if len(self._idle) + len(self._running) >= self._count:
            self.ready.set()

    def _next(self, slot: Slot) -> None:
        if self._waiting:
            self._give(slot, self._waiting.popleft())
        else:
            self._idle.append(slot)

    def _give(self, slot: Slot, chunk: _Chunk) -> None:
        self._running[chunk.key] = slot
        self._by_slot[slot] = chunk.key
        self._quiet.clear()
        slot.send(chunk.envelope, chunk.payload)

    def _release(self, slot: Slot) -> Key | None:
        key = self._by_slot.pop(slot, None)
        if key is not None:
            del self._running[key]
        if not self._running:
            self._quiet.set()
        return key

    def _change_usable(self, slots: int) -> None:
        if slots != self.usable:
            self.usable = slots
            self._told.usable_changed(slots)
