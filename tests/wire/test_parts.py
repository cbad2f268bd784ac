"""Payloads with large arrays: what is laid out is found again, and what is malformed is refused."""

import doctest
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench.errors import PayloadError, RemoteProtocolError
from databench.wire import codec, parts
from databench.wire.chunks import Calls, Failure, Results, failures_in
from databench.wire.parts import APART, Source, first_bytes, joined, pack, size_of, unpack
from databench.wire.values import Extension


class Elsewhere:
    """A payload that is kept elsewhere, as those in shared memory are."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, part: slice) -> bytes:
        return self._data[part]

    def fill(self, target: memoryview, begin: int) -> None:
        target[:] = self._data[begin : begin + len(target)]


lengths = st.sampled_from([0, 1, APART // 8 - 1, APART // 8, APART // 8 + 1, APART])
arrays = st.builds(
    lambda length, dtype, seed: np.multiply(np.random.default_rng(seed).random(length), 100).astype(dtype),
    lengths,
    st.sampled_from(["<f8", "<f4", "<i8", "|u1", "<c16", ">f8"]),
    st.integers(0, 9),
)
values = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=3) | arrays,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.shape == other.shape and bool((one == other).all())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(parts).failed == 0


@given(values)
def test_a_value_comes_back_from_bytes_and_from_elsewhere(value: Any) -> None:
    packed = pack(value)
    data = joined(packed)
    assert size_of(packed) == len(data)
    received: tuple[Source, ...] = (data, cast(bytes, memoryview(data)), Elsewhere(data))
    for payload in received:
        assert same(value, unpack(payload))
    assert first_bytes(Elsewhere(joined(pack([value]))), 1) == b"\x91"


def test_without_large_arrays_a_payload_is_the_value_alone() -> None:
    value = [np.arange(3), "text"]
    assert joined(pack(value)) == codec.pack(value)


def test_large_arrays_are_not_copied_until_they_are_joined() -> None:
    array = np.zeros(APART)
    _, elements = pack([array])
    array[0] = 1.0
    assert np.frombuffer(elements)[0] == 1.0


def test_arrays_of_two_dimensions_and_other_orders_keep_their_shape() -> None:
    array = np.arange(2.0 * APART).reshape(2, -1)
    for sent in (array, array.T, array[:, ::2]):
        assert same(sent, unpack(joined(pack(sent))))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_who_receives_an_array_may_write_to_it_and_keep_it(elsewhere: bool) -> None:
    data = joined(pack([np.zeros(APART), np.ones(APART)]))
    first, second = unpack(Elsewhere(data) if elsewhere else data)
    first += 7
    assert first.base is None
    assert second.base is None
    assert second.sum() == APART


def test_a_payload_over_the_limit_is_refused_before_anything_is_copied() -> None:
    with pytest.raises(PayloadError, match=r"payload has 8,000,\d\d\d bytes, more than the limit of 1,000,000"):
        pack(np.zeros(1_000_000), limit=1_000_000)


def test_what_cannot_be_sent_is_named() -> None:
    with pytest.raises(PayloadError, match=r"payload\[1\] is of type object"):
        pack([np.zeros(APART), object()])
    assert len(pack([np.zeros(APART)])) == 2


@given(st.binary(max_size=40), st.integers(0, 60), st.integers(0, 200))
def test_malformed_payloads_are_refused(noise: bytes, begin: int, cut: int) -> None:
    data = bytearray(joined(pack([1, np.zeros(APART)])))
    data[begin : begin + len(noise)] = noise
    for payload in (bytes(data[: len(data) - cut]), b"\xc6" + noise, noise):
        try:
            unpack(payload)
        except RemoteProtocolError:
            continue


@pytest.mark.parametrize("kind", ["<f8 99999999999\n0", "<f8 8\n-8", "<f8 8\n", "<f8 8", "<f8 8\n131000", "|O8 8\n0"])
def test_elements_that_are_not_there_are_refused(kind: str) -> None:
    def beside(array: Any) -> Any:
        return Extension(parts.ELSEWHERE, kind.encode())

    head = codec.pack_apart([np.zeros(8)], beside)
    with pytest.raises(RemoteProtocolError):
        unpack(b"\xc6" + len(head).to_bytes(4, "big") + head + bytes(100))


def test_calls_and_results_with_arrays_come_back() -> None:
    array = np.arange(float(APART))
    calls = Calls.from_bytes(Calls([[array, array], [1, 2]]).to_bytes())
    assert [(same(array, first), second) for first, second in calls] == [(True, 1), (True, 2)]
    failures = [Failure(item, "E", "", "") for item in range(20)]
    payload = Results([None] * 20 + [array], failures).to_bytes()
    assert failures_in(payload) == 20
    assert same(array, Results.from_bytes(payload).values[-1])
