"""Frames over a stream, cut anywhere."""

import doctest
from itertools import cycle

from hypothesis import given
from hypothesis import strategies as st

from databench_worker import memory, pipe
from databench_worker.pipe import Frame, Reader, laid_out


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(pipe).failed == 0
    assert doctest.testmod(memory).failed == 0


lengths = st.integers(0, 50) | st.integers(130_000, 400_000)


@given(st.lists(st.tuples(lengths, lengths), max_size=6), st.lists(st.integers(1, 300_000)))
def test_what_is_laid_out_is_found_again_however_it_arrives(frames: list[tuple[int, int]], cuts: list[int]) -> None:
    sent = [(b"e" * envelope, bytes(range(256)) * (payload // 256 + 1)) for envelope, payload in frames]
    sent = [(envelope, whole[:payload]) for (envelope, whole), (_, payload) in zip(sent, frames, strict=True)]
    data = b"".join(part for frame in sent for part in laid_out(*frame))
    reader = Reader()
    found: list[Frame] = []
    at, sizes = 0, cycle([*cuts, 100_000])
    while at < len(data):
        target = reader.target()
        size = min(len(target), next(sizes), len(data) - at)
        target[:size] = data[at : at + size]
        found += reader.received(size)
        at += size
    assert [(envelope, bytes(payload or b"")) for envelope, payload in found] == sent
