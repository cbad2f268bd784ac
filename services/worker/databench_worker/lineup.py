"""The lineup: which slot has which chunks, in which order, and what is due when.

Events in, instructions out; it knows no processes, no messages and no clock (time is an argument).

Rule 1: a slot runs its chunks in order; the first of them runs, what is behind it was sent ahead.
Rule 2: each chunk is answered, lost, timed out or returned once, unless it is dropped.
Rule 3: nothing waits for long behind a chunk: it is returned, to run elsewhere.
Rule 4: a dropped chunk has a moment to finish, which costs less than another slot; then its slot ends.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

SHORT = 0.02
"""Seconds that a chunk waits behind one that runs; then it is returned."""
GRACE = 0.05
"""Seconds from its beginning that a chunk has before its slot is ended when it is dropped."""

Key = tuple[str, int]
"""A chunk: its job and its number."""


class Chunk(NamedTuple):
    """A chunk to run: what the slot is sent, and how long that may take (0: no limit)."""

    key: Key
    timeout: float
    envelope: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Give:
    """Send a chunk to a slot."""

    slot: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Tell a slot not to begin a chunk; it answers, if it has not begun it."""

    slot: int
    key: Key


@dataclass(frozen=True, slots=True)
class End:
    """End a slot's process; another takes its place."""

    slot: int


@dataclass(frozen=True, slots=True)
class Return:
    """Give a chunk back that was not begun."""

    key: Key


@dataclass(frozen=True, slots=True)
class Lose:
    """Report a chunk whose slot ended while it ran."""

    key: Key


@dataclass(frozen=True, slots=True)
class TimeOut:
    """Report a chunk that took longer than it may."""

    key: Key
    timeout: float


Instruction = Give | Withdraw | End | Return | Lose | TimeOut


@dataclass(slots=True, eq=False)
class _Place:
    chunk: Chunk
    given: float
    wanted: bool = True


@dataclass(slots=True, eq=False)
class _Line:
    slot: int
    places: deque[_Place] = field(default_factory=deque)
    since: float = 0.0
    """When the first of them began."""
    given: int = 0
    ending: bool = False


class Lineup:
    """The slots that are ready, and the chunks at this worker."""

    def __init__(self, renew_after: int = 0) -> None:
        self._renew_after = renew_after
        self._lines: dict[int, _Line] = {}
        self._waiting: deque[Chunk] = deque()
        self._where: dict[Key, _Line] = {}

    @property
    def ready(self) -> int:
        """Slots that are there."""
        return sum(not line.ending for line in self._lines.values())

    @property
    def chunks(self) -> int:
        """Chunks that are to be answered."""
        return len(self._where) + len(self._waiting)

    def busy(self, slot: int) -> bool:
        """Whether a slot has something to do."""
        return slot in self._lines and bool(self._lines[slot].places)

    # Slots

    def begin(self, slot: int, now: float) -> list[Instruction]:
        """A slot is ready."""
        line = self._lines[slot] = _Line(slot)
        return self._next(line, now)

    def end(self, slot: int) -> list[Instruction]:
        """A slot's process has ended."""
        if (line := self._lines.pop(slot, None)) is None:
            return []
        line.ending = True
        out = self._hand_back(line)
        if line.places and line.places[0].wanted:
            key = line.places[0].chunk.key
            del self._where[key]
            out.insert(0, Lose(key))
        return out

    # Chunks

    def take(self, chunk: Chunk, now: float, slots: int) -> list[Instruction]:
        """Run a chunk in an idle slot; else, where all `slots` are there, behind another; else in the next slot."""
        self._waiting.append(chunk)
        best = None
        for line in self._lines.values():
            if self._takes(line) and (best is None or _readiness(line) < _readiness(best)):
                best = line
        if best is None or (best.places and self.ready < slots):
            return []
        return [self._give(best, self._waiting.popleft(), now)]

    def answered(self, slot: int, key: Key, now: float) -> tuple[bool, list[Instruction]]:
        """A slot has answered for a chunk: return whether somebody wants to know, and what is to be done."""
        line = self._lines.get(slot)
        place = next((place for place in line.places if place.chunk.key == key), None) if line else None
        if line is None or place is None:
            return False, []
        if line.places[0] is place:
            line.since = now
        line.places.remove(place)
        if place.wanted:
            del self._where[key]
        if line.places or line.ending:
            return place.wanted, []
        return place.wanted, self._next(line, now)

    def drop(self, key: Key, now: float) -> list[Instruction]:
        """Nobody wants the result of a chunk any more."""
        if (line := self._where.pop(key, None)) is None:
            self._waiting = deque(chunk for chunk in self._waiting if chunk.key != key)
            return []
        place = next(place for place in line.places if place.chunk.key == key and place.wanted)
        place.wanted = False
        if line.places[0] is place and now >= line.since + GRACE:
            return self._end(line)
        return [Withdraw(line.slot, key)]

    def withdraw(self) -> list[Key]:
        """Forget the chunks that no slot has, and return them."""
        keys = [chunk.key for chunk in self._waiting]
        self._waiting.clear()
        return keys

    def keys(self) -> list[Key]:
        """Return all chunks that are to be answered."""
        return [chunk.key for chunk in self._waiting] + list(self._where)

    # Time

    def due(self) -> float | None:
        """Return when `tick` should be called next."""
        return min((due for line in self._lines.values() if (due := _due(line)) is not None), default=None)

    def tick(self, now: float) -> list[Instruction]:
        """Do what has become due."""
        out: list[Instruction] = []
        for line in self._lines.values():
            due = _due(line)
            if due is None or now < due:
                continue
            first = line.places[0]
            if not first.wanted and now >= line.since + GRACE:
                out += self._end(line)
            elif first.wanted and first.chunk.timeout and now >= line.since + first.chunk.timeout:
                first.wanted = False
                del self._where[first.chunk.key]
                out += [TimeOut(first.chunk.key, first.chunk.timeout), *self._end(line)]
            if not line.ending and (wait := _wait(line)) is not None and now >= wait:
                out += self._hand_back(line)
        return out

    def _takes(self, line: _Line) -> bool:
        return not line.ending and not (self._renew_after and line.given >= self._renew_after)

    def _give(self, line: _Line, chunk: Chunk, now: float) -> Instruction:
        if not line.places:
            line.since = now
        line.places.append(_Place(chunk, now))
        line.given += 1
        self._where[chunk.key] = line
        return Give(line.slot, chunk)

    def _next(self, line: _Line, now: float) -> list[Instruction]:
        if not self._takes(line):
            return self._end(line)
        return [self._give(line, self._waiting.popleft(), now)] if self._waiting else []

    def _end(self, line: _Line) -> list[Instruction]:
        line.ending = True
        return [End(line.slot), *self._hand_back(line)]

    def _hand_back(self, line: _Line) -> list[Instruction]:
        """Return what was sent ahead; it was not begun, or its result will not be wanted."""
        out: list[Instruction] = []
        for place in islice(line.places, 1, None):
            if place.wanted:
                place.wanted = False
                del self._where[place.chunk.key]
                out.append(Return(place.chunk.key))
                if not line.ending:
                    out.append(Withdraw(line.slot, place.chunk.key))
        return out


def _readiness(line: _Line) -> tuple[int, float]:
    """Sorts lines: an idle slot first, of these the one that worked last, else who is likely to be idle first."""
    return len(line.places), line.since if line.places else -line.since


def _wait(line: _Line) -> float | None:
    """Return until when what is behind the first may wait; None where nothing is."""
    behind = next((place.given for place in islice(line.places, 1, None) if place.wanted), None)
    return None if behind is None else max(line.since, behind) + SHORT


def _due(line: _Line) -> float | None:
    if line.ending or not line.places:
        return None
    first = line.places[0]
    if not first.wanted:
        return line.since + GRACE
    limit = line.since + first.chunk.timeout if first.chunk.timeout else None
    return min((due for due in (limit, _wait(line)) if due is not None), default=None)
