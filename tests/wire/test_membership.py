"""Membership at a broker: it is found again whatever is lost, and one that is only slow is joined once."""

import doctest
from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from databench.wire import membership
from databench.wire.membership import Event, Membership, Say, Standing

PATIENCE = 4


class Broker:
    """A broker behind two lines, on which words arrive in order, late, or never."""

    def __init__(self) -> None:
        self.member = Membership(PATIENCE)
        self.there: deque[Say] = deque()
        self.back: deque[Event] = deque()
        self.lives = 0
        self.knows = False

    def happens(self, event: Event, *, lost: bool = False) -> Say:
        """Have something happen at the member; what it says goes on its way, or is lost."""
        say = self.member.handle(event)
        if say is not Say.NOTHING and not lost:
            self.there.append(say)
        return say

    def hears(self) -> None:
        """Take the next word of the member."""
        if self.there:
            if self.there.popleft() is Say.JOIN:
                self.lives += 1
                self.knows = True
                self.back.append(Event.TAKEN_IN)
            elif not self.knows:
                self.back.append(Event.UNKNOWN)

    def answers(self, *, lost: bool = False) -> None:
        """Have the next answer arrive, or be lost."""
        if self.back:
            event = self.back.popleft()
            if not lost:
                self.happens(event)

    def calm(self) -> None:
        """Have everything arrive that is under way."""
        while self.there or self.back:
            self.hears()
            self.answers()


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(membership).failed == 0


steps = st.lists(st.tuples(st.sampled_from(["beat", "hear", "answer", "forget"]), st.booleans()), max_size=60)


@given(steps)
def test_whatever_is_lost_the_member_is_taken_in_when_nothing_is_lost_any_more(steps: list[tuple[str, bool]]) -> None:
    broker = Broker()
    broker.happens(Event.UP)
    for step, lost in steps:
        match step:
            case "beat":
                broker.happens(Event.BEAT, lost=lost)
            case "hear":
                broker.hears()
            case "answer":
                broker.answers(lost=lost)
            case "forget":
                broker.knows = False
    for _ in range(PATIENCE + 2):
        broker.calm()
        broker.happens(Event.BEAT)
    broker.calm()
    assert broker.member.joined
    assert broker.knows
    lives = broker.lives
    for _ in range(10):
        broker.happens(Event.BEAT)
        broker.calm()
    assert broker.lives == lives


@given(st.lists(st.sampled_from(["beat", "hear", "answer"]), max_size=60))
def test_a_broker_that_is_only_slow_is_joined_once(steps: list[str]) -> None:
    broker = Broker()
    broker.happens(Event.UP)
    beats = 0
    for step in steps:
        match step:
            case "beat" if beats < PATIENCE:
                beats += 1
                broker.happens(Event.BEAT)
            case "hear":
                broker.hears()
            case "answer":
                broker.answers()
    broker.calm()
    assert broker.lives == 1
    assert broker.member.joined


def test_a_join_that_is_lost_is_said_again_at_the_second_beat() -> None:
    broker = Broker()
    broker.happens(Event.UP, lost=True)
    assert broker.happens(Event.BEAT) is Say.BEAT
    broker.calm()
    assert broker.happens(Event.BEAT) is Say.JOIN
    broker.calm()
    assert broker.member.joined


def test_what_a_broker_says_of_words_before_the_join_does_not_repeat_it() -> None:
    broker = Broker()
    broker.there.append(Say.BEAT)
    broker.happens(Event.UP)
    broker.happens(Event.BEAT)
    broker.calm()
    assert broker.member.joined
    broker.happens(Event.BEAT)
    broker.calm()
    assert broker.lives == 1


def test_one_who_is_down_says_nothing_and_joins_when_the_broker_is_there_again() -> None:
    broker = Broker()
    broker.happens(Event.UP)
    broker.calm()
    assert broker.happens(Event.DOWN) is Say.NOTHING
    for event in (Event.BEAT, Event.UNKNOWN, Event.TAKEN_IN):
        assert broker.happens(event) is Say.NOTHING
    assert broker.member.standing is Standing.DOWN
    assert broker.happens(Event.UP) is Say.JOIN
    assert broker.happens(Event.UP) is Say.NOTHING
