"""How large chunks are."""

import doctest

import pytest

from databench.errors import RemoteProtocolError
from databench.wire import chunks
from databench.wire.chunks import AIM, MAX_BYTES, MAX_ITEMS, Chunking, Failure


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
    assert chunking.size(2, None) <= 16


def test_towards_the_end_every_slot_still_gets_something() -> None:
    chunking = Chunking()
    chunking.learned(1000, 1e-3)
    assert [chunking.size(4, remaining) for remaining in (8000, 800, 80, 8, 1)] == [1000, 100, 10, 1, 1]


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


def test_a_failure_survives_the_wire() -> None:
    failure = Failure(3, "ValueError", "no", "Traceback …")
    assert Failure.from_bytes(failure.to_bytes()) == failure
    with pytest.raises(RemoteProtocolError):
        Failure.from_bytes(b"\x93\x01\x02\x03")
