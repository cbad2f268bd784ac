"""The ring against a list: numbers, bounds, ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench.wire import ring
from databench.wire.ring import Bounds, Ring


def weight(payloads: list[bytes], first: int, last: int) -> int:
    """What the signals from one number to another count, whose names have up to two characters in turn."""
    return sum(len(payloads[number - 1]) + number % 3 + ring.ENVELOPE for number in range(first, last + 1))


@given(st.lists(st.binary(max_size=12), max_size=60), st.integers(1, 8), st.integers(0, 80), st.integers(1, 70))
def test_the_newest_within_the_bounds_are_kept(payloads: list[bytes], count: int, size: int, batch: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ring, "BATCH", batch)
        patch.setattr(ring, "ENVELOPE", 3)
        bounds = Bounds(kept=count, kept_bytes=size)
        kept = Ring(bounds)
        for number, payload in enumerate(payloads, 1):
            assert kept.append("n" * (number % 3), payload) == kept.last == number
            held = payloads[kept.first - 1 : number]
            assert held == [payload] or (len(held) <= count and weight(payloads, kept.first, number) <= size)
            longer = number - kept.first + 2
            assert (
                kept.first == 1 or longer > bounds.safe or weight(payloads, kept.first - 1, number) > bounds.safe_bytes
            )
            assert kept.end == weight(payloads, 1, number)
            for after in range(kept.first - 1, number + 1):
                for until in range(after, number + 1):
                    names = ["n" * (each % 3) for each in range(after + 1, until + 1)]
                    assert kept.slice(after, until) == (names, payloads[after:until])
                    assert kept.size(after, until) == weight(payloads, after + 1, until)


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=30), st.integers(0, 400))
def test_it_reaches_as_far_as_the_size_goes(payloads: list[bytes], size: int) -> None:
    kept = Ring(Bounds())
    for payload in payloads:
        kept.append("s", payload)
    for after in range(len(payloads) + 1):
        until = kept.reach(after, size)
        assert kept.size(after, until) <= size
        assert until == len(payloads) or kept.size(after, until + 1) > size
