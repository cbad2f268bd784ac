"""What the policies decide about calls, with calls that are numbers."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench.policies import POLICIES, WHILE_RUNNING, Begin, Cancel, Drop, Policy, Refuse, Step, Turns


@pytest.mark.parametrize("policy", POLICIES)
def test_the_first_call_begins_whatever_the_policy(policy: Policy) -> None:
    turns = Turns[int](policy)
    assert turns.arrive(1) == [Begin(1)]
    turns.finish(1)
    assert turns.advance() == []
    assert turns.idle


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "reject"])
def test_a_call_without_room_waits_for_it_and_later_ones_behind_it(policy: Policy) -> None:
    turns = Turns[int](policy)
    assert turns.arrive(1, room=False) == []
    assert turns.ready
    assert not turns.idle
    assert Begin(2) not in turns.arrive(2)
    [first] = turns.advance()
    assert first == Begin(2 if policy in ("latest", "restart") else 1)
    assert turns.ready == (policy == "parallel")


def test_a_call_that_may_not_wait_is_refused_without_room() -> None:
    turns = Turns[int]("reject")
    assert turns.arrive(1, room=False) == [Refuse(1, "room")]
    assert turns.idle


@pytest.mark.parametrize(
    ("policy", "while_running", "after"),
    [
        ("queue", [[], []], [Begin(2)]),
        ("latest", [[], [Drop(2)]], [Begin(3)]),
        ("restart", [[Cancel(1)], [Drop(2)]], [Begin(3)]),
        ("reject", [[Refuse(2, "running")], [Refuse(3, "running")]], []),
        ("parallel", [[Begin(2)], [Begin(3)]], []),
    ],
)
def test_two_more_calls_while_one_runs(
    policy: Policy, while_running: list[list[Step[int]]], after: list[Step[int]]
) -> None:
    turns = Turns[int](policy)
    turns.arrive(1)
    assert [turns.arrive(2), turns.arrive(3)] == while_running
    turns.finish(1)
    assert turns.advance() == after


def test_a_queue_beyond_its_bound_refuses() -> None:
    turns = Turns[int]("queue", bound=1)
    turns.arrive(1)
    assert turns.arrive(2) == []
    assert not turns.accepts
    assert turns.arrive(3) == [Refuse(3, "waiting")]


def test_a_queue_beyond_its_bytes_refuses_but_one_large_call_may_wait_alone() -> None:
    turns = Turns[int]("queue", bytes_bound=10)
    turns.arrive(1, size=1_000)
    assert turns.arrive(2, size=11) == []
    assert turns.arrive(3, size=0) == [Refuse(3, "waiting")]
    turns.finish(1)
    assert turns.advance() == [Begin(2)]
    assert [turns.arrive(4, size=4), turns.arrive(5, size=6)] == [[], []]
    assert turns.arrive(6, size=1) == [Refuse(6, "waiting")]
    assert turns.cancel() == [Drop(4), Drop(5), Cancel(2)]
    assert turns.arrive(7, size=10) == []


def test_cancel_stops_what_runs_once_and_forgets_what_waits() -> None:
    turns = Turns[int]("queue")
    turns.arrive(1)
    turns.arrive(2)
    assert turns.cancel() == [Drop(2), Cancel(1)]
    assert turns.cancel() == []
    assert not turns.idle
    turns.finish(1)
    assert turns.advance() == []


def test_every_policy_is_in_the_table() -> None:
    assert tuple(WHILE_RUNNING) == POLICIES


EVENTS = st.lists(
    st.sampled_from(["arrive", "arrive", "arrive without room", "finish", "finish newest", "advance", "cancel"])
)


@given(st.sampled_from(POLICIES), st.integers(1, 3), EVENTS)
def test_whatever_happens_each_call_has_one_fate_and_the_policy_holds(
    policy: Policy, bound: int, events: list[str]
) -> None:
    turns = Turns[int](policy, bound)
    arrived = 0
    running: list[int] = []
    seen: dict[type[object], list[int]] = {Begin: [], Cancel: [], Drop: [], Refuse: []}

    def note(steps: list[Step[int]]) -> None:
        for step in steps:
            assert not isinstance(step, Cancel) or step.call in running
            seen[type(step)].append(step.call)
            if isinstance(step, Begin):
                running.append(step.call)

    for event in events:
        if event.startswith("arrive"):
            arrived += 1
            note(turns.arrive(arrived, room=event == "arrive"))
        elif event == "cancel":
            note(turns.cancel())
        elif event == "advance":
            note(turns.advance())
        elif running:
            call = running.pop(0 if event == "finish" else -1)
            turns.finish(call)
        fates = Counter(seen[Begin] + seen[Drop] + seen[Refuse])
        waiting = set(range(1, arrived + 1)) - fates.keys()
        assert set(fates.values()) <= {1}
        assert len(set(seen[Cancel])) == len(seen[Cancel])
        assert turns.waiting == len(waiting) <= {"latest": 1, "restart": 1, "reject": 0}.get(policy, bound)
        assert seen[Begin] == sorted(seen[Begin])
        assert len(running) <= 1 or policy == "parallel"
        assert turns.idle == (not running and not waiting)
        assert turns.ready or running or not waiting
    while running or turns.ready:
        note(turns.advance())
        turns.finish(running.pop())
    assert turns.idle
