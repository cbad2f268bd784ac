"""Where a runner or a worker stands with the broker of the chunk plane, and what it has to say for that.

Owns when a join is said again. A broker takes a second join for another life, and lets go of all that it had of the
first: so it is said again only where the first was lost. A beat finds that out: a broker that has the join takes it,
to any other its sender is unknown.
"""

from enum import Enum, auto


class Standing(Enum):
    """Where one stands."""

    DOWN = auto()
    JOINING = auto()
    ASKED = auto()
    """A beat has followed the join."""
    UNHEARD = auto()
    """The broker does not have the join, or has told so of an earlier word: then its answer to the join is next."""
    JOINED = auto()


class Event(Enum):
    """What happens."""

    UP = auto()
    """The broker can be reached."""
    DOWN = auto()
    """It cannot, or nothing is wanted of it any more."""
    TAKEN_IN = auto()
    UNKNOWN = auto()
    """The broker does not know who said something."""
    BEAT = auto()
    """It is time for a sign of life."""


class Say(Enum):
    """What is to be said."""

    NOTHING = auto()
    JOIN = auto()
    BEAT = auto()


_TRANSITIONS: dict[Standing, dict[Event, tuple[Standing, Say]]] = {
    Standing.DOWN: {
        Event.UP: (Standing.JOINING, Say.JOIN),
    },
    Standing.JOINING: {
        Event.TAKEN_IN: (Standing.JOINED, Say.NOTHING),
        Event.BEAT: (Standing.ASKED, Say.BEAT),
    },
    Standing.ASKED: {
        Event.TAKEN_IN: (Standing.JOINED, Say.NOTHING),
        Event.UNKNOWN: (Standing.UNHEARD, Say.NOTHING),
    },
    Standing.UNHEARD: {
        Event.TAKEN_IN: (Standing.JOINED, Say.NOTHING),
        Event.BEAT: (Standing.JOINING, Say.JOIN),
    },
    Standing.JOINED: {
        Event.TAKEN_IN: (Standing.JOINED, Say.NOTHING),
        Event.UNKNOWN: (Standing.JOINING, Say.JOIN),
        Event.BEAT: (Standing.JOINED, Say.BEAT),
    },
}
"""What does not stand here changes nothing, except that DOWN leads there from everywhere."""


class Membership:
    """One place at a broker; `patience` is after how many beats a join is said again to a broker that says nothing.

    >>> membership = Membership(patience=5)
    >>> membership.handle(Event.UP), membership.handle(Event.TAKEN_IN), membership.handle(Event.BEAT)
    (<Say.JOIN: 2>, <Say.NOTHING: 1>, <Say.BEAT: 3>)
    >>> membership.joined
    True
    """

    def __init__(self, patience: int) -> None:
        self.standing = Standing.DOWN
        self._patience = patience
        self._silent = 0

    @property
    def joined(self) -> bool:
        """Whether the broker has taken us in."""
        return self.standing is Standing.JOINED

    def handle(self, event: Event) -> Say:
        """Take in what has happened; return what is to be said."""
        if event is Event.DOWN:
            self.standing = Standing.DOWN
            return Say.NOTHING
        if event is Event.BEAT and self.standing is Standing.ASKED:
            self._silent += 1
            if self._silent < self._patience:
                return Say.NOTHING
            self.standing = Standing.UNHEARD
        self.standing, say = _TRANSITIONS[self.standing].get(event, (self.standing, Say.NOTHING))
        if say is Say.JOIN:
            self._silent = 0
        return say
