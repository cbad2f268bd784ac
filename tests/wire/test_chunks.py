"""What chunks hold, and how large they are."""

import doctest
import heapq
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench.errors import RemoteProtocolError
from databench.wire import chunks, codec
from databench.wire.chunks import AIM, MAX_BYTES, MAX_ITEMS, Calls, Chunking, Failure, Results, failures_in


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(chunks).failed == 0


def test_the_first_chunk_has_one_item() -> None:
    assert Chunking().size(8, 1_000_000) == 1


def test_slow_items_stay_alone() -> None:
    chunking = Chunking()
    for remaining in range(100, 0, -1):
        assert chunking.size(12, remaining) == 1
        chunking.learned(1, 0.1)


def test_tiny_items_grow_into_chunks_of_the_time_aimed_at() -> None:
    chunking = Chunking()
    for _ in range(8):
        size = chunking.size(2, None)
        chunking.learned(size, size * 1e-4)
    assert chunking.size(2, None) == pytest.approx(AIM / 1e-4, abs=1)


def test_a_chunk_has_a_largest_number_of_items_however_fast_they_are() -> None:
    chunking = Chunking()
    for _ in range(8):
        chunking.learned(chunking.size(2, None), 0.0)
    assert chunking.size(2, None) == MAX_ITEMS


def test_one_measurement_lets_chunks_grow_only_so_far() -> None:
    chunking = Chunking()
    chunking.learned(1, 1e-9)
    assert chunking.size(2, None) <= 32
    assert not chunking.settled


def test_towards_the_end_every_slot_still_gets_something() -> None:
    chunking = Chunking()
    chunking.learned(100, 1e-1)
    assert [chunking.size(4, remaining) for remaining in (400, 240, 80, 16, 8, 1)] == [50, 30, 10, 2, 2, 2]


def test_tiny_items_are_not_cut_into_chunks_that_cost_more_than_they_gain() -> None:
    chunking = Chunking()
    chunking.learned(10_000, 1e-3)
    assert [chunking.size(4, remaining) for remaining in (400_000, 40_000, 400)] == [MAX_ITEMS] * 3


def test_large_items_travel_in_small_chunks() -> None:
    chunking = Chunking()
    chunking.learned(10, 1e-6)
    chunking.packed(1, MAX_BYTES // 3)
    assert chunking.size(2, None) == 3
    chunking.packed(1, 10 * MAX_BYTES)
    assert chunking.size(2, None) == 1


def test_items_that_get_slower_shrink_the_chunks() -> None:
    chunking = Chunking()
    chunking.learned(1000, 1e-3)
    for _ in range(10):
        chunking.learned(10, 1.0)
    assert chunking.size(2, None) < 5


def test_a_fixed_size_is_kept() -> None:
    chunking = Chunking(7)
    chunking.learned(7, 10.0)
    assert chunking.size(100, 3) == 7


def test_large_results_make_small_chunks_too() -> None:
    chunking = Chunking()
    chunking.learned(1, 1e-6, MAX_BYTES // 3)
    assert chunking.size(2, None) == 3
    assert chunking.result_bytes(2) == MAX_BYTES // 3 * 2


def simulated(items: list[float], slots: int, delay: float) -> float:
    """Return how long these items take; each chunk costs its slot `delay` besides, and answers come as late."""
    chunking, left, ends = Chunking(), items[::-1], [0.0] * slots
    answers: list[tuple[float, int, float]] = []
    while left:
        free = heapq.heappop(ends)
        while answers and answers[0][0] <= free:
            _, n, seconds = heapq.heappop(answers)
            chunking.learned(n, seconds)
        chunk = [left.pop() for _ in range(min(chunking.size(slots, len(left)), len(left)))]
        heapq.heappush(ends, end := free + delay + sum(chunk))
        heapq.heappush(answers, (end + delay, len(chunk), sum(chunk)))
    return max(ends)


def test_many_slots_are_busy_to_the_end() -> None:
    ideal = 1_000 * 0.01 / 12
    assert simulated([0.01] * 1_000, slots=12, delay=0.000_5) < 1.03 * ideal


@pytest.mark.parametrize("slots", [2, 12, 64])
def test_items_that_take_differently_long_keep_slots_busy_too(slots: int) -> None:
    draw = random.Random(7)
    items = [draw.expovariate(1 / 0.005) for _ in range(20_000)]
    assert simulated(items, slots, delay=0.000_5) < 1.06 * (sum(items) / slots) + 0.1


def test_what_waiting_for_chunks_costs_is_little_where_items_are_tiny() -> None:
    items = 1_000_000
    assert simulated([1e-6] * items, slots=2, delay=0.000_5) < 1.2 * items * 1e-6 / 2


def test_a_failure_survives_the_wire() -> None:
    failure = Failure(3, "ValueError", "no", "Traceback …", "builtins", ["no", 1])
    assert Failure.from_bytes(failure.to_bytes()) == failure
    assert Failure.from_bytes(Failure(None, "Lost", "", "").to_bytes()) == Failure(None, "Lost", "", "")


@given(st.lists(st.integers(-(2**63), 2**64 - 1), min_size=1), st.booleans())
def test_calls_survive_the_wire(values: list[int], collect: bool) -> None:
    for calls in (
        Calls([values], collect=collect),
        Calls([values, values[::-1]], collect=collect),
        Calls([[[value] * (value % 3) for value in values]], star=True, collect=collect),
    ):
        assert Calls.from_bytes(calls.to_bytes()) == calls
        assert len(list(calls)) == len(calls) == len(values)


@given(st.integers(0, 70_000))
def test_the_number_of_failures_can_be_told_from_the_head(n: int) -> None:
    head = codec.pack([None] * n)[:5]
    assert failures_in(b"\x92" + head) == n


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        [],
        [False, False, []],
        [False, False, [1]],
        [False, False, [[1], [1, 2]]],
        [True, False, [[1]]],
        [True, False, [[[1]], [[1]]]],
        [0, False, [[1]]],
        {"star": False},
    ],
)
def test_calls_that_are_malformed_are_refused(malformed: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        Calls.from_bytes(codec.pack(malformed))


@pytest.mark.parametrize(
    "malformed", [None, [], [[], None], [[], [], []], [[1], [1]], [[Failure(1, "", "", "")], [1]], {}]
)
def test_results_that_are_malformed_are_refused(malformed: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        Results.from_bytes(codec.pack(malformed))


@pytest.mark.parametrize("malformed", [b"\x93\x01\x02\x03", b"\xc1", codec.pack({"item": 1}), codec.pack({1: 2})])
def test_failures_that_are_malformed_are_refused(malformed: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Failure.from_bytes(malformed)
