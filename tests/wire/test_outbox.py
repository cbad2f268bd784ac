"""What travels together: order is kept, frames stay small, large payloads travel alone."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench.errors import RemoteProtocolError
from databench.wire import codec, outbox
from databench.wire.messages import TO_BROKER, Beat, Cancel, Done, Failed, Message
from databench.wire.outbox import INLINE, JOINED, Outbox, inline, read


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(outbox).failed == 0


def test_an_empty_outbox_has_nothing_to_send() -> None:
    assert not Outbox()
    assert Outbox().take() == []


sizes = st.sampled_from([0, 1, INLINE, INLINE + 1, 3 * INLINE])


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b"]), sizes)))
def test_each_receiver_gets_its_messages_in_order_with_their_payloads(sent: list[tuple[bytes, int]]) -> None:
    box = Outbox()
    for number, (receiver, size) in enumerate(sent):
        box.add(receiver, Done("j", number, 0.0, inline(bytes(size))), bytes(size))
    got: dict[bytes, list[tuple[int, int]]] = {b"a": [], b"b": []}
    for receiver, envelopes, frame in box.take():
        for message, payload in read(envelopes, frame, TO_BROKER):
            assert isinstance(message, Done)
            got[receiver].append((message.chunk, len(payload)))
    for receiver, received in got.items():
        assert received == [(number, size) for number, (to, size) in enumerate(sent) if to == receiver]
    assert not box


def test_frames_are_joined_up_to_a_limit() -> None:
    box = Outbox()
    for number in range(20):
        box.add(b"r", Done("j", number, 0.0, bytes(10_000)))
    frames = box.take()
    assert len(frames) > 1
    assert all(len(envelopes) < JOINED + 10_100 for _, envelopes, _ in frames)


@pytest.mark.parametrize(
    "messages", [(Failed("j", 0, "raised", None), Beat()), (Done("j", 0, 0.0, None), Done("j", 1, 0.0, b""))]
)
def test_a_payload_outside_belongs_to_the_last_message(messages: tuple[Message, ...]) -> None:
    with pytest.raises(RemoteProtocolError, match="not the last of its frame"):
        read(codec.encode(*messages), b"payload", TO_BROKER)
    assert read(codec.encode(Cancel("j")), b"stray", TO_BROKER) == [(Cancel("j"), b"")]
