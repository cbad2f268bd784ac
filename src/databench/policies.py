"""What becomes of a signal that comes while its handler still runs: begin, wait, replace, cancel or refuse.

Decides only. Knows no thread, no task and no clock; calls are whatever the caller says they are.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Literal, TypeVar, get_args

C = TypeVar("C", bound=Hashable)

Policy = Literal["queue", "latest", "restart", "reject", "parallel"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

WAITING = 64
"""Signals that wait while their handler runs for a session."""


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
    """This call will not begin: the handler is `running`, the `waiting` ones are too many, or there is no `room`."""

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
    [Begin(call='two')]
    """

    def __init__(self, policy: Policy, bound: int = WAITING) -> None:
        self._then = WHILE_RUNNING[policy]
        self._bound = bound
        self._running: dict[C, bool] = {}
        """Whether each has been told to stop."""
        self._waiting: deque[C] = deque()

    @property
    def idle(self) -> bool:
        """Nothing runs, so nothing waits."""
        return not self._running

    @property
    def running(self) -> int:
        """Calls that run."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return len(self._waiting)

    @property
    def accepts(self) -> bool:
        """Whether one more call would be taken now, as far as the others of this handler go."""
        if not self._running or self._then in (Then.BEGIN, Then.REPLACE, Then.RESTART):
            return True
        return self._then is Then.WAIT and len(self._waiting) < self._bound

    def arrive(self, call: C, *, room: bool = True) -> list[Step[C]]:
        """Take a call; it does not begin without `room` for one more."""
        then = self._then if self._running else Then.BEGIN
        match then:
            case Then.BEGIN if room:
                self._running[call] = False
                return [Begin(call)]
            case Then.BEGIN:
                return [Refuse(call, "room")]
            case Then.REFUSE:
                return [Refuse(call, "running")]
            case Then.WAIT if len(self._waiting) >= self._bound:
                return [Refuse(call, "waiting")]
        steps: list[Step[C]] = []
        if then is not Then.WAIT:
            steps += self._drop()
        if then is Then.RESTART:
            steps += self._stop()
        self._waiting.append(call)
        return steps

    def finish(self, call: C) -> list[Step[C]]:
        """A call that ran has ended; the next one takes its place."""
        del self._running[call]
        if self._running or not self._waiting:
            return []
        following = self._waiting.popleft()
        self._running[following] = False
        return [Begin(following)]

    def cancel(self) -> list[Step[C]]:
        """Stop what runs and forget what waits."""
        return [*self._drop(), *self._stop()]

    def _drop(self) -> list[Step[C]]:
        dropped: list[Step[C]] = [Drop(call) for call in self._waiting]
        self._waiting.clear()
        return dropped

    def _stop(self) -> list[Step[C]]:
        stopped: list[Step[C]] = [Cancel(call) for call, told in self._running.items() if not told]
        self._running = dict.fromkeys(self._running, True)
        return stopped
