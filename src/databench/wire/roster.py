"""Who is present on the bus, and who owns an analysis. Time is an argument.

Owns the lives of services as their Present and Leaving messages tell them, and the rendezvous hash.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from databench.wire.messages import Gone, Leaving, Message, Present

SILENCE = 10.0
"""Seconds without a sign after which a service counts as gone: ten announcements, so that C code which
holds the interpreter for some seconds is not mistaken for death."""

PROOF = 1.5
"""Seconds that a service whose connection the broker lost has to connect anew and say that it is present."""


@dataclass(frozen=True, slots=True)
class Member:
    """A service that is present."""

    kind: str
    name: str
    life: str
    detail: bytes


class Roster:
    """The services that are present; kinds that nobody asked for are not kept."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = frozenset(kinds)
        self._members: dict[tuple[str, str], Member] = {}
        self._seen: dict[tuple[str, str], float] = {}

    def handle(self, message: Message, now: float) -> list[Member]:
        """Take a message of the presence topic; return the members that are gone through it.

        A service that comes back with another life is gone and present at once.
        """
        match message:
            case Present(kind, name, life, detail) if kind in self._kinds:
                before = self._members.get((kind, name))
                self._members[kind, name] = Member(kind, name, life, detail)
                self._seen[kind, name] = now
                return [before] if before is not None and before.life != life else []
            case Leaving(kind, name, life):
                member = self._members.get((kind, name))
                return [self._remove(member)] if member is not None and member.life == life else []
            case Gone(kind, name, life):
                member = self._members.get((kind, name))
                if member is not None and member.life == life:
                    # A connection may break while the process lives: it is heard again, or is silent from here on.
                    self._seen[kind, name] = min(self._seen[kind, name], now - SILENCE + PROOF)
        return []

    def expire(self, now: float) -> list[Member]:
        """Return the members that were silent for too long, and forget them."""
        silent = [key for key, seen in self._seen.items() if now - seen > SILENCE]
        return [self._remove(self._members[key]) for key in silent]

    def _remove(self, member: Member) -> Member:
        del self._members[member.kind, member.name]
        del self._seen[member.kind, member.name]
        return member

    def present(self, kind: str) -> list[Member]:
        """Return the members of a kind, by name."""
        return sorted(
            (member for member in self._members.values() if member.kind == kind),
            key=lambda member: member.name,
        )


def owner(analysis: str, runners: Iterable[str]) -> str | None:
    """Return which of the runners owns an analysis: the one with the highest hash of both names.

    Rendezvous hashing (Thaler and Ravishankar, 1998): when a runner comes or goes, only the
    analyses that it gains or loses move.

    >>> owner("pi", ["runner-1", "runner-2"]) == owner("pi", ["runner-2", "runner-1"])
    True
    """
    return max(runners, key=lambda runner: blake2b(f"{analysis}\0{runner}".encode()).digest(), default=None)
