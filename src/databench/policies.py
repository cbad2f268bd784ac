"""What becomes of a signal that comes while its handler still runs: begin, wait, replace, cancel or refuse.

Decides only. Knows no thread, no task and no clock; calls are whatever the caller says they are.

As many signals wait for a handler as a page holds back while its connection is lost: either the handler never rested
meanwhile, and no more wait than would have without the loss, or it did, and these are all that wait.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Literal, TypeVar, get_args

from databench.wire.messages import HELD, HELD_BYTES

C = TypeVar("C", bound=Hashable)

Policy = Literal["queue", "latest", "restart", "reject", "parallel"]
POLICIES: tuple[Policy, ...] = get_args(Policy)


class Then(Enum):
    """What is done with a signal whose handler runs."""

    WAIT = "wait for its turn, within the bound"
    REPLACE = "wait, in place of those that wait"
    RESTART = "replace those that wait, and cancel the one that runs"
    REFUSE = "refuse"
    BEGIN = "begin at once"


WHILE_RUNNING: dict[Policy, Then] = {
    "queue": Then.WAIT,
    "latest": Then.REPLACE,
    "restart": Then.RESTART,
    "reject": Then.REFUSE,
    "parallel": Then.BEGIN,
}


@dataclass(frozen=True, slots=True)
class Begin(Generic[C]):
    """Begin this call; it runs until `finish`."""

    call: C


@dataclass(frozen=True, slots=True)
class Cancel(Generic[C]):
    """Make this running call stop; it runs until `finish`. Said once for each call."""

    call: C


@dataclass(frozen=True, slots=True)
class Drop(Generic[C]):
    """This call waited and will not begin: a newer one is in its place, or it was cancelled."""

    call: C


@dataclass(frozen=True, slots=True)
class Refuse(Generic[C]):
    """This call will not begin: the handler is `running`, the `waiting` ones are too many, or there is no `room`.

    For want of room only those are refused that may not wait.
    """

    call: C
    because: Literal["running", "waiting", "room"]


Step = Begin[C] | Cancel[C] | Drop[C] | Refuse[C]


class Turns(Generic[C]):
    """The calls of one handler for one session.

    >>> turns = Turns[str]("restart")
    >>> turns.arrive("one")
    [Begin(call='one')]
    >>> turns.arrive("two")
    [Cancel(call='one')]
    >>> turns.finish("one")
    >>> turns.advance()
    [Begin(call='two')]
    """

    __slots__ = ("_bound", "_bytes_bound", "_running", "_then", "_waiting", "_waiting_bytes")

    def __init__(self, policy: Policy, bound: int = HELD, bytes_bound: int = HELD_BYTES) -> None:
        self._then = WHILE_RUNNING[policy]
        self._bound = bound
        self._bytes_bound = bytes_bound
        self._running: dict[C, bool] = {}
        """Whether each has been told to stop."""
        self._waiting: deque[tuple[C, int]] = deque()
        """Those that wait, and their sizes."""
        self._waiting_bytes = 0

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return not self._running and not self._waiting

    @property
    def running(self) -> int:
        """Calls that run."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return len(self._waiting)

    @property
    def ready(self) -> bool:
        """Whether a call waits for nothing but room."""
        return bool(self._waiting) and (not self._running or self._then is Then.BEGIN)

    @property
    def accepts(self) -> bool:
        """Whether one more call would be taken now, as far as the others of this handler go."""
        if self._then in (Then.REPLACE, Then.RESTART):
            return True
        return not self._running if self._then is Then.REFUSE else not self._full(0)

    def arrive(self, call: C, *, room: bool = True, size: int = 0) -> list[Step[C]]:
        """Take a call; it does not begin without `room` for one more."""
        if room and not self._waiting and (not self._running or self._then is Then.BEGIN):
            self._running[call] = False
            return [Begin(call)]
        if self._then is Then.REFUSE:
            return [Refuse(call, "running" if self._running else "room")]
        steps: list[Step[C]] = []
        if self._then in (Then.REPLACE, Then.RESTART):
            steps += self._drop()
        elif self._full(size):
            return [Refuse(call, "waiting")]
        if self._then is Then.RESTART:
            steps += self._stop()
        self._waiting.append((call, size))
        self._waiting_bytes += size
        return steps

    def finish(self, call: C) -> None:
        """Note that a call that ran has ended; `advance` begins the next one where there is room."""
        del self._running[call]

    def advance(self) -> list[Step[C]]:
        """Begin the call that waits first, if it waits for nothing but room."""
        if not self.ready:
            return []
        following, size = self._waiting.popleft()
        self._waiting_bytes -= size
        self._running[following] = False
        return [Begin(following)]

    def cancel(self) -> list[Step[C]]:
        """Stop what runs and forget what waits."""
        return [*self._drop(), *self._stop()]

    def _full(self, size: int) -> bool:
        # One that is larger than the bound may wait alone.
        if not self._waiting:
            return False
        return len(self._waiting) >= self._bound or self._waiting_bytes + size > self._bytes_bound

    def _drop(self) -> list[Step[C]]:
        dropped: list[Step[C]] = [Drop(call) for call, _ in self._waiting]
        self._waiting.clear()
        self._waiting_bytes = 0
        return dropped

    def _stop(self) -> list[Step[C]]:
        stopped: list[Step[C]] = [Cancel(call) for call, told in self._running.items() if not told]
        self._running = dict.fromkeys(self._running, True)
        return stopped
