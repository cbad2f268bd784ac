"""References are read as they were written, garbage is refused; and when shared memory is worth while."""

import doctest
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench.errors import RemoteProtocolError
from databench.wire import codec, references
from databench.wire.chunks import Calls, Failure, Results
from databench.wire.codec import MAX_PAYLOAD
from databench.wire.outbox import INLINE
from databench.wire.references import DATA, FIRST_DELAY, LONGEST_DELAY, SHARED, TASKS_LIMIT, Reference, Sharing

numbers = st.integers(1, 2**31)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(references).failed == 0


@given(st.builds(Reference, numbers, numbers, st.text("0123456789abcdef"), numbers, st.integers(0, MAX_PAYLOAD)))
def test_a_reference_is_read_as_it_was_written_and_travels_inside_its_message(reference: Reference) -> None:
    data = reference.to_bytes()
    assert Reference.of(data) == Reference.of(cast(bytes, memoryview(data))) == reference
    assert len(data) < INLINE
    assert DATA + reference.size <= reference.behind < DATA + reference.size + 2 * DATA


@pytest.mark.parametrize("payload", [Calls([[1]]).to_bytes(), Results([1]).to_bytes(), b"", b"\xc6\0\0\0\0"])
def test_payloads_are_no_references(payload: bytes) -> None:
    assert Reference.of(payload) is None
    assert Reference.of(Failure(None, "E", "", "").to_bytes()) is None


@pytest.mark.parametrize(
    "fields",
    [
        [0, 1, "a", 1, 1],
        [1, -1, "a", 1, 1],
        [1, 1, "a", 0, 1],
        [1, 1, "a", 2**63, 1],
        [1, 1, "a", 1, -1],
        [1, 1, "a", 1, MAX_PAYLOAD + 1],
        [True, 1, "a", 1, 1],
        ["1", 1, "a", 1, 1],
        [1, 1, None, 1, 1],
    ],
)
def test_malformed_references_are_refused(fields: list[Any]) -> None:
    with pytest.raises(RemoteProtocolError, match="malformed"):
        Reference.of(codec.pack(fields))


@given(st.binary(max_size=40))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Reference.of(b"\x95" + noise.replace(b"\x95", b""))


def test_a_task_whose_results_are_large_is_worth_it_whatever_its_arguments() -> None:
    sharing = Sharing()
    assert not sharing.worth("m:f", 10, 0.0)
    sharing.answered("m:f", SHARED)
    assert sharing.worth("m:f", 10, 0.0)
    sharing.answered("m:f", SHARED - 1)
    assert not sharing.worth("m:f", 10, 0.0)


def test_only_so_many_tasks_are_remembered() -> None:
    sharing = Sharing()
    for number in range(TASKS_LIMIT + 1):
        sharing.answered(f"m:f{number}", SHARED)
    assert not sharing.worth("m:f0", 10, 0.0)
    assert sharing.worth("m:f1", 10, 0.0)


@given(st.lists(st.floats(0, 100), max_size=20))
def test_a_worker_that_cannot_open_references_is_asked_again_ever_more_rarely(waits: list[float]) -> None:
    sharing, now, delay = Sharing(), 0.0, FIRST_DELAY
    blocked_until = float("-inf")
    for wait in waits:
        now += wait
        assert sharing.worth("m:f", SHARED, now) == (now >= blocked_until)
        sharing.unreadable(now)
        if now >= blocked_until:
            blocked_until, delay = now + delay, min(2 * delay, LONGEST_DELAY)
