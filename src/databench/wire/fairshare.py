"""Fair shares: who of those that wait for slots is next.

Owns the arithmetic of slot time. Knows nothing of chunks and workers; time is an argument.
After start-time fair queueing (Goyal, Vin, Cheng 1996): who begins to wait starts level with the one that is
served next, so nobody saves up while idle; who took more than its share before comes back with that debt.
"""

from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from typing import Generic, Protocol, TypeVar


@dataclass(slots=True, eq=False)
class Account:
    """Slot time of one sharer, in seconds: what is settled, and what its running chunks have had until now."""

    settled: float = 0.0
    running: int = 0
    begun: float = 0.0
    """Sum of the times at which the running chunks began."""
    expected: float = 0.0
    """Sum of what the running chunks will probably take: charged at once, so that a burst is not free."""

    def used(self, now: float) -> float:
        """Return the slot time had until now. It only grows, but where an expectation is corrected (`end`)."""
        elapsed = self.running * now - self.begun
        return self.settled + (elapsed if elapsed > self.expected else self.expected)

    def begin(self, now: float, expected: float) -> None:
        """A chunk begins."""
        self.running += 1
        self.begun += now
        self.expected += expected

    def end(self, began: float, expected: float, seconds: float) -> None:
        """A chunk that began then, and of which so much was expected, took so long."""
        self.settled += seconds
        self.running -= 1
        # No rounding is left over: it would add up over millions of chunks.
        self.begun = self.begun - began if self.running else 0.0
        self.expected = self.expected - expected if self.running else 0.0

    def rise(self, floor: float, now: float) -> None:
        """Start level with others, whatever was not used before."""
        self.settled += max(floor - self.used(now), 0.0)


class Sharer(Protocol):
    """Who takes turns."""

    account: Account
    rank: int
    """Higher goes first, whatever was used."""
    turn: int
    """Its newest place in line; kept by Turns."""

    @property
    def waiting(self) -> bool:
        """Whether it wants another slot."""


S = TypeVar("S", bound=Sharer)


class Turns(Generic[S]):
    """Those who wait: the highest rank first, then who has used least, then who has waited longest.

    >>> class Guest:
    ...     def __init__(self, name: str, used: float) -> None:
    ...         self.name, self.account, self.rank, self.turn, self.waiting = name, Account(used), 0, 0, True
    >>> turns: Turns[Guest] = Turns()
    >>> turns.enlist(Guest("had much", 3.0), now=0.0)
    >>> turns.enlist(Guest("had little", 1.0), now=0.0)
    >>> turns.first(now=0.0).name
    'had little'
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, float, int, S]] = []
        self._turns = 0
        self._limit = 64

    def enlist(self, sharer: S, now: float) -> None:
        """Give a sharer its place in line; the places it had before are out of date from here on.

        To be called when it begins to wait, when it was served, and when its account was corrected.
        """
        self._turns = sharer.turn = self._turns + 1
        entry = (-sharer.rank, sharer.account.used(now), sharer.turn, sharer)
        heap = self._heap
        if heap and heap[0][3] is sharer:
            heapreplace(heap, entry)  # it was served
            return
        heappush(heap, entry)
        if len(heap) > self._limit:
            self._heap = [entry for entry in heap if entry[2] == entry[3].turn and entry[3].waiting]
            heapify(self._heap)
            self._limit = max(64, 2 * len(self._heap))

    def first(self, now: float) -> S | None:
        """Return who is next; None where nobody waits."""
        heap = self._heap
        while heap:
            rank, used, turn, sharer = heap[0]
            if turn != sharer.turn or not sharer.waiting:
                heappop(heap)
                continue
            # What an entry says is what had been used when it was made, or less than what is used by now.
            if (actual := sharer.account.used(now)) <= used:
                return sharer
            heapreplace(heap, (rank, actual, turn, sharer))
        return None
