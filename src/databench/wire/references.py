"""What travels in place of a payload that stays in shared memory, and when that is worth while.

Owns the reference, where things lie in a segment, and the decision. Opens nothing; time is an argument.
"""

from dataclasses import dataclass
from typing import Any

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.codec import MAX_PAYLOAD
from databench.wire.parts import Source

SHARED = 32 * 2**10
"""Bytes from which on a payload stays in shared memory: below, its way over the bus costs less."""
UNREADABLE = "unreadable"
"""Why a chunk comes back whose reference a worker could not open."""
DATA = 64
"""Where the payload begins in a segment, behind the numbers that tell what is in it."""
FIRST_DELAY, LONGEST_DELAY = 1.0, 60.0
"""Seconds without references after a worker could not open one; twice as many each time."""
TASKS_LIMIT = 256
"""Tasks of which is remembered that their results are large."""
_MARK = b"\x95"


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a payload is: a descriptor of a process, and how to see that it is still the right thing."""

    pid: int
    descriptor: int
    name: str
    """Of the segment, unguessable: nothing else is opened."""
    mark: int
    """Made at random for each payload, and written in front of it."""
    size: int

    @property
    def behind(self) -> int:
        """Where in the segment the answer begins: behind the payload, which is kept for another try."""
        return DATA + -(-self.size // DATA) * DATA

    def to_bytes(self) -> bytes:
        """Return what travels."""
        return codec.pack([self.pid, self.descriptor, self.name, self.mark, self.size])

    @classmethod
    def of(cls, payload: Source) -> "Reference | None":
        """Return the reference that a payload is; None where it is a payload itself.

        Raises RemoteProtocolError where it is malformed.

        >>> reference = Reference(1, 2, "0a", 3, 4)
        >>> Reference.of(reference.to_bytes()) == reference
        True
        """
        if payload[:1] != _MARK:
            return None
        match codec.unpack(payload[:]):
            case [int() as pid, int() as descriptor, str() as name, int() as mark, int() as size] if _sound(
                pid, descriptor, mark, size
            ):
                return cls(pid, descriptor, name, mark, size)
        raise RemoteProtocolError("a reference is malformed")


def _sound(pid: Any, descriptor: Any, mark: Any, size: Any) -> bool:
    whole = all(type(number) is int for number in (pid, descriptor, mark, size))
    return whole and pid > 0 and descriptor >= 0 and 0 < mark < 2**63 and 0 <= size <= MAX_PAYLOAD


class Sharing:
    """Decides which chunks go through shared memory.

    Which workers are on this machine shows when they try: after a reference that one could not open there are none
    for a while. A task whose results were large gets its arguments by reference too, since the answer comes in the
    same segment.

    >>> sharing = Sharing()
    >>> sharing.worth("m:f", 10**6, now=0.0), sharing.worth("m:f", 10, now=0.0)
    (True, False)
    >>> sharing.unreadable(now=0.0)
    >>> sharing.worth("m:f", 10**6, now=0.5), sharing.worth("m:f", 10**6, now=1.0)
    (False, True)
    """

    def __init__(self) -> None:
        self._large: dict[str, None] = {}
        self._delay = FIRST_DELAY
        self._again = float("-inf")

    def worth(self, task: str, size: int, now: float) -> bool:
        """Return whether a chunk with a payload of so many bytes should go through shared memory."""
        return (size >= SHARED or task in self._large) and now >= self._again

    def answered(self, task: str, size: int) -> None:
        """Learn how large the results of a task are."""
        if size < SHARED:
            self._large.pop(task, None)
        elif task not in self._large:
            if len(self._large) >= TASKS_LIMIT:
                self._large.pop(next(iter(self._large)), None)
            self._large[task] = None

    def unreadable(self, now: float) -> None:
        """Learn that a worker could not open a reference; several that were on their way count once."""
        if now >= self._again:
            self._again, self._delay = now + self._delay, min(2 * self._delay, LONGEST_DELAY)
