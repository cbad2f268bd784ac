"""The ring against a list: numbers, bounds, ranges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench.wire import ring
from databench.wire.ring import Bounds, Ring


@given(st.lists(st.binary(max_size=12), max_size=60), st.integers(1, 8), st.integers(0, 40), st.integers(1, 70))
def test_the_newest_within_the_bounds_are_kept(frames: list[bytes], count: int, size: int, batch: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ring, "BATCH", batch)
        bounds = Bounds(kept=count, kept_bytes=size)
        kept = Ring(bounds)
        for number, frame in enumerate(frames, 1):
            assert kept.append(frame) == kept.last == number
            held = frames[kept.first - 1 : number]
            assert held == [frame] or (len(held) <= count and sum(map(len, held)) <= size)
            longer = frames[kept.first - 2 : number]
            assert kept.first == 1 or len(longer) > bounds.safe or sum(map(len, longer)) > bounds.safe_bytes
            assert kept.end == sum(map(len, frames[:number]))
            for after in range(kept.first - 1, number + 1):
                for until in range(after, number + 1):
                    assert kept.join(after, until) == b"".join(frames[after:until])
                    assert kept.size(after, until) == sum(map(len, frames[after:until]))


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=30), st.integers(0, 100))
def test_it_reaches_as_far_as_the_size_goes(frames: list[bytes], size: int) -> None:
    kept = Ring(Bounds())
    for frame in frames:
        kept.append(frame)
    for after in range(len(frames) + 1):
        until = kept.reach(after, size)
        assert kept.size(after, until) <= size
        assert until == len(frames) or kept.size(after, until + 1) > size
