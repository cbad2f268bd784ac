"""Slot time and turns, as arithmetic."""

import doctest
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from databench.wire import fairshare
from databench.wire.fairshare import Account, Turns


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(fairshare).failed == 0


def test_a_running_chunk_counts_while_it_runs_and_what_was_expected_of_it_at_once() -> None:
    account = Account()
    account.begin(10.0, expected=0.5)
    assert [account.used(now) for now in (10.0, 10.2, 13.0)] == [0.5, 0.5, 3.0]
    account.end(10.0, 0.5, seconds=2.5)
    assert account.used(99.0) == 2.5


def test_who_starts_level_gives_up_what_it_did_not_use_and_keeps_what_it_owes() -> None:
    idle, greedy = Account(settled=1.0), Account(settled=9.0)
    for account in (idle, greedy):
        account.rise(5.0, now=0.0)
    assert (idle.used(0.0), greedy.used(0.0)) == (5.0, 9.0)


@dataclass(eq=False)
class Guest:
    rank: int = 0
    waiting: bool = True
    turn: int = 0
    account: Account = field(default_factory=Account)


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.floats(0, 10), st.booleans()), min_size=1, max_size=9),
    st.lists(st.tuples(st.integers(0, 8), st.floats(0, 3)), max_size=80),
)
def test_the_first_has_the_highest_rank_and_has_used_least(
    guests: list[tuple[int, float, bool]], steps: list[tuple[int, float]]
) -> None:
    turns: Turns[Guest] = Turns()
    people = [Guest(rank, waiting, account=Account(used)) for rank, used, waiting in guests]
    for guest in people:
        turns.enlist(guest, 0.0)
    now = 0.0
    for index, seconds in steps:
        guest = people[index % len(people)]
        guest.account.begin(now, 0.05)
        now += seconds
        wanted = min(((-each.rank, each.account.used(now)) for each in people if each.waiting), default=None)
        first = turns.first(now)
        assert (None if first is None else (-first.rank, first.account.used(now))) == wanted
        guest.account.end(now - seconds, 0.05, seconds / 2)
        turns.enlist(guest, now)


def test_those_who_are_even_take_turns() -> None:
    turns: Turns[Guest] = Turns()
    people = [Guest() for _ in range(3)]
    for guest in people:
        turns.enlist(guest, 0.0)
    order = []
    for _ in range(300):
        first = turns.first(0.0)
        assert first is not None
        order.append(people.index(first))
        turns.enlist(first, 0.0)
    assert order == [0, 1, 2] * 100
