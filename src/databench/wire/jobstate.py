"""What the job table keeps: chunks and their states, jobs, groups, workers. Each entry knows only itself."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from math import inf

from databench.errors import LocalProtocolError
from databench.wire.chunks import AIM
from databench.wire.fairshare import Account, Turns

SHORT = 0.02
"""Seconds below which chunks are short: a slot gets its next ones before it is idle."""
AHEAD_TIME = 0.01
"""Seconds of work that a slot gets ahead, where one chunk is not more already."""
AHEAD = 32
"""Chunks that a slot gets ahead at most."""
AHEAD_BYTES = 2**20
"""Bytes of their payloads, if all are like the next one. A larger one takes its time on the way in any case."""
KINDS_LIMIT = 256
"""Tasks of which a group remembers how long their chunks take."""


class State(Enum):
    """Where a chunk stands."""

    QUEUED = auto()
    RUNNING = auto()
    DELIVERED = auto()
    FAILED = auto()
    DISCARDED = auto()

    __hash__ = object.__hash__  # in C; that of Enum is not


class Move(Enum):
    """What happens to a chunk."""

    __hash__ = object.__hash__

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


@dataclass(slots=True)
class Pace:
    """How long the chunks of a task take in one group."""

    mean: float = AIM
    known: bool = False

    def learn(self, seconds: float) -> None:
        """Take into account that a chunk took so long."""
        self.mean = (self.mean + seconds) / 2 if self.known else seconds
        self.known = True

    @property
    def ahead(self) -> int:
        """How many chunks a slot may get besides the one that it runs."""
        if not self.known or self.mean >= SHORT:
            return 0
        return AHEAD if self.mean * AHEAD <= AHEAD_TIME else max(int(AHEAD_TIME / self.mean), 1)


@dataclass(slots=True, eq=False)
class Group:
    """Who shares slots with others: a session of one client."""

    key: tuple[bytes, str]
    account: Account = field(default_factory=Account)
    jobs: "Turns[Job]" = field(default_factory=Turns)
    floor: float = 0.0
    queued: int = 0
    unfinished: int = 0
    paces: dict[str, Pace] = field(default_factory=dict)
    rank: int = 0
    turn: int = 0

    @property
    def waiting(self) -> bool:
        """Whether it wants another slot."""
        return self.queued > 0

    def pace(self, task: str) -> Pace:
        """Return the pace of a task, which all jobs of the group share."""
        if (pace := self.paces.get(task)) is None:
            if len(self.paces) >= KINDS_LIMIT:
                del self.paces[next(iter(self.paces))]
            pace = self.paces[task] = Pace()
        return pace


@dataclass(slots=True, eq=False)
class Job:
    """Chunks of one call, and those of them that wait."""

    client: bytes
    name: str
    group: Group
    rank: int
    account: Account = field(default_factory=Account)
    chunks: "dict[int, Chunk]" = field(default_factory=dict)
    queue: "deque[Chunk]" = field(default_factory=deque)
    turn: int = 0

    @property
    def waiting(self) -> bool:
        """Whether it wants another slot."""
        return bool(self.queue)


@dataclass(slots=True, eq=False)
class Chunk:
    """A chunk that is not answered."""

    job: Job
    number: int
    task: str
    payload: bytes
    retries: int
    timeout: float
    pace: Pace
    state: State = State.QUEUED
    worker: "Worker | None" = None
    started: float = 0.0
    expected: float = 0.0
    long: bool = False
    ends: float = inf
    """When its slot may get another one, where that is known (endings)."""
    ending: bool = False
    """Whether that time has come."""
    patient: bool = False
    """Whether it was sent ahead and came back: it waits for a slot that is free."""

    def move(self, move: Move) -> None:
        """Change its state; raises LocalProtocolError for a move that is not in the table."""
        if (state := TRANSITIONS[self.state].get(move)) is None:
            raise LocalProtocolError(f"a chunk that is {self.state.name} cannot {move.name}")
        self.state = state


@dataclass(slots=True, eq=False)
class Worker:
    """A worker, as the table sees it."""

    name: bytes
    slots: int
    leaving: bool = False
    chunks: dict[Chunk, None] = field(default_factory=dict)
    """In the order in which they were assigned: the first ones, as many as there are slots, run."""
    long: int = 0
    """How many of these are not short."""
    ending: int = 0
    """How many of these are about to end."""

    @property
    def free(self) -> int:
        """Slots without a chunk, less than none where chunks were sent ahead."""
        return 0 if self.leaving else self.slots - len(self.chunks)

    def room_ahead(self, chunk: Chunk) -> float:
        """Return how much room there is for this chunk behind those that run, as a share of the slots."""
        if self.leaving or not self.slots:
            return 0.0
        ahead = min(chunk.pace.ahead, AHEAD_BYTES // max(len(chunk.payload), 1))
        return (ahead * (self.slots - self.long) + self.ending + self.free) / self.slots


@dataclass(slots=True)
class Load:
    """What a client has at the broker."""

    chunks: int = 0
    size: int = 0
