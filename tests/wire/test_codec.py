"""Messages to bytes and back: what is sent arrives, and whatever else comes is refused in one way."""

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench.errors import PayloadError, RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import (
    FROM_BROKER,
    FROM_BROWSER,
    NAME_LIMIT,
    PAGE_LIMIT,
    SIGNAL_PLANE,
    TO_BROKER,
    TO_BROWSER,
    Ack,
    Attach,
    Attached,
    Broadcasts,
    Done,
    Message,
    Signal,
    Signals,
    Vocabulary,
)

VOCABULARIES = (FROM_BROWSER, TO_BROWSER, SIGNAL_PLANE, TO_BROKER, FROM_BROKER)
EVERY_KIND: Vocabulary = tuple(dict.fromkeys(kind for vocabulary in VOCABULARIES for kind in vocabulary))

texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(0, 2**64 - 1)
fields: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    str | None: st.none() | texts,
    int: numbers,
    bool: st.booleans(),
    bytes | None: st.none() | st.binary(),
    bytes: st.binary(),
    list[bytes]: st.lists(st.binary(), min_size=1),
    float: st.floats(0, allow_nan=False),
}


def of_kind(kind: type[Message]) -> st.SearchStrategy[Message]:
    parts = {name: fields[kind.__annotations__[name]] for name in kind.__match_args__}
    for name, limit in (("name", NAME_LIMIT), ("page", PAGE_LIMIT)):
        if name in parts and kind in (Signal, Signals, Broadcasts, Attach):
            parts[name] = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=limit)
    return st.builds(kind, **parts)


frames = st.sampled_from(VOCABULARIES).flatmap(
    lambda vocabulary: st.tuples(
        st.just(vocabulary), st.lists(st.sampled_from(vocabulary).flatmap(of_kind), min_size=1, max_size=5)
    )
)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(texts | st.integers(-(2**63), 2**64 - 1), inner),
    max_leaves=20,
)


def refused_or_decoded(data: bytes) -> None:
    for vocabulary in VOCABULARIES:
        try:
            messages = codec.decode(data, vocabulary)
        except RemoteProtocolError:
            continue
        assert messages
        assert {type(message) for message in messages} <= set(vocabulary)


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.tag)
def test_a_message_of_every_kind_is_generated(kind: type[Message]) -> None:
    assert kind.tag
    of_kind(kind).validate()


@given(frames)
def test_what_was_encoded_decodes_to_the_same_messages(frame: tuple[Vocabulary, list[Message]]) -> None:
    vocabulary, messages = frame
    assert codec.decode(codec.encode(*messages), vocabulary) == messages


@given(frames)
def test_joining_frames_is_joining_bytes(frame: tuple[Vocabulary, list[Message]]) -> None:
    _, messages = frame
    assert b"".join(codec.encode(message) for message in messages) == codec.encode(*messages)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_refused(data: bytes) -> None:
    refused_or_decoded(data)


@given(values)
def test_any_value_in_place_of_a_message_decodes_or_is_refused(value: object) -> None:
    refused_or_decoded(codec.pack(value))


@given(frames, st.data())
def test_a_frame_cut_short_is_refused_unless_it_is_cut_between_messages(
    frame: tuple[Vocabulary, list[Message]], data: st.DataObject
) -> None:
    vocabulary, messages = frame
    encoded = codec.encode(*messages)
    ends = [len(codec.encode(*messages[: count + 1])) for count in range(len(messages))]
    cut = data.draw(st.integers(0, len(encoded) - 1))
    if cut in ends:
        assert codec.decode(encoded[:cut], vocabulary) == messages[: ends.index(cut) + 1]
    else:
        with pytest.raises(RemoteProtocolError):
            codec.decode(encoded[:cut], vocabulary)


@given(frames, st.data())
def test_a_frame_with_other_bytes_in_it_decodes_or_is_refused(
    frame: tuple[Vocabulary, list[Message]], data: st.DataObject
) -> None:
    encoded = bytearray(codec.encode(*frame[1]))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    refused_or_decoded(bytes(encoded))


@given(st.binary(max_size=200))
def test_any_payload_unpacks_or_is_refused(data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        codec.unpack(data)


@given(st.sampled_from([-1, 1, 2, 3, 4]), st.binary(max_size=40), st.integers(0, 255))
def test_any_extension_unpacks_or_is_refused(code: int, data: bytes, length: int) -> None:
    for head in (b"", b"<f8 ", b"<f8 1,", b"<M8[ms] ", b"2026-01-0"):
        body = head + data
        with contextlib.suppress(RemoteProtocolError):
            codec.unpack(b"\xc7" + struct.pack(">Bb", len(body), code) + body)


@given(values)
def test_what_was_packed_unpacks_to_the_same_value(value: object) -> None:
    assert codec.unpack(codec.pack(value)) == value


def test_every_field_is_checked() -> None:
    for data in (b"\x93\xa3gap\x01\xc2", b"\x95\xa8attached\xa1a\x00\x00\x00", b"\x95\xa8attached\xc0\xc3\x00\x00"):
        with pytest.raises(RemoteProtocolError, match="field of type"):
            codec.decode(data, TO_BROWSER)


def test_a_duration_may_be_an_integer() -> None:
    assert codec.decode(b"\x95\xa4done\xa1j\x00\x01\xc0", TO_BROKER) == [Done("j", 0, 1, None)]


@pytest.mark.parametrize("length", [1, NAME_LIMIT])
def test_a_name_may_be_as_long_as_the_limit(length: int) -> None:
    signal = Signal(1, "π" * length, b"\xc0")
    assert codec.decode(codec.encode(signal), FROM_BROWSER) == [signal]


@pytest.mark.parametrize("name", ["", "n" * (NAME_LIMIT + 1)])
def test_a_name_beyond_the_limit_is_refused(name: str) -> None:
    with pytest.raises(RemoteProtocolError, match="1 to 200 characters"):
        codec.decode(codec.encode(Signal(1, name, b"\xc0")), FROM_BROWSER)


def test_what_is_refused_closes_the_connection_with_4000() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        codec.decode(b"\xc1", FROM_BROWSER)
    assert caught.value.close_code == 4000


def test_the_text_of_an_unknown_tag_is_bounded() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        codec.decode(b"\x91" + codec.pack("x" * 10_000), FROM_BROWSER)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("claim", [b"\xdd", b"\xdf"])
def test_arrays_and_maps_that_claim_to_be_long_are_refused_before_memory_is_set_aside(claim: bytes) -> None:
    size = 2**16
    bomb = (claim + struct.pack(">I", size - 5)) * 400
    with pytest.raises(RemoteProtocolError, match="exceeds max_"):
        codec.decode(bomb.ljust(size, b"\xc0"), FROM_BROWSER)


def test_one_message_is_one() -> None:
    assert codec.decode_one(codec.encode(Ack(1, 0)), FROM_BROWSER) == Ack(1, 0)
    with pytest.raises(RemoteProtocolError, match="2 messages where one was expected"):
        codec.decode_one(codec.encode(Attach(None, "p", 0, 0), Ack(1, 0)), FROM_BROWSER)


def test_a_message_of_the_other_direction_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="'attached' is not allowed here"):
        codec.decode(codec.encode(Attached("a", True, 1, 0)), FROM_BROWSER)


def test_a_payload_may_be_as_large_as_the_limit() -> None:
    assert len(codec.pack(b"12345678", limit=10)) == 10


def test_a_payload_beyond_the_limit_is_refused() -> None:
    with pytest.raises(PayloadError, match="payload has 11 bytes, more than the limit of 10"):
        codec.pack(b"123456789", limit=10)


def test_a_refused_value_leaves_nothing_behind() -> None:
    with pytest.raises(PayloadError):
        codec.pack([1, 2, 3, object()])
    assert codec.unpack(codec.pack([4])) == [4]
