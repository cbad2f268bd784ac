"""The broker's side of the chunk plane, as bytes."""

import doctest

import pytest

from databench.wire import codec, dispatch
from databench.wire.chunks import Failure
from databench.wire.dispatch import CLIENT_SILENCE, WORKER_SILENCE, Dispatcher
from databench.wire.messages import (
    FROM_BROKER,
    PROTOCOL_VERSION,
    Beat,
    Cancel,
    Capacity,
    Done,
    Drop,
    Failed,
    Join,
    Joined,
    Leave,
    Lost,
    Message,
    Refused,
    Returned,
    Run,
    Slots,
    Submit,
    Unknown,
)

Told = list[tuple[bytes, Message, bytes]]


class Broker:
    """A Dispatcher that is spoken to in messages."""

    def __init__(self) -> None:
        self.dispatcher = Dispatcher("b1")
        self.now = 100.0

    def say(self, sender: bytes, message: Message, payload: bytes = b"") -> Told:
        return self.read(self.dispatcher.receive(sender, codec.encode(message), payload, self.now))

    def wait(self, seconds: float) -> Told:
        self.now += seconds
        return self.read(self.dispatcher.tick(self.now))

    def read(self, out: list[dispatch.Outgoing]) -> Told:
        return [(to, codec.decode_one(envelope, FROM_BROKER), payload) for to, envelope, payload in out]


@pytest.fixture
def broker() -> Broker:
    broker = Broker()
    broker.say(b"r", Join("runner", "r1", PROTOCOL_VERSION, 0))
    broker.say(b"w", Join("worker", "w1", PROTOCOL_VERSION, 1))
    return broker


SUBMIT = Submit("j", 0, "m:f", 1)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(dispatch).failed == 0


def test_a_chunk_goes_to_a_worker_and_its_answer_back_with_payloads_untouched(broker: Broker) -> None:
    assert broker.say(b"r", SUBMIT, b"\xc1 not msgpack") == [(b"w", Run("j", 0, "m:f"), b"\xc1 not msgpack")]
    assert broker.say(b"w", Done("j", 0, 0.5), b"\xc1") == [(b"r", Done("j", 0, 0.5), b"\xc1")]


def test_a_runner_that_joins_learns_the_capacity_and_later_its_changes(broker: Broker) -> None:
    assert broker.say(b"s", Join("runner", "r2", PROTOCOL_VERSION, 0)) == [
        (b"s", Joined("b1"), b""),
        (b"s", Capacity(1), b""),
    ]
    assert broker.say(b"w", Slots(3)) == [(b"r", Capacity(3), b""), (b"s", Capacity(3), b"")]


def test_another_version_is_refused_and_told_both(broker: Broker) -> None:
    [(to, refused, _)] = broker.say(b"x", Join("worker", "old", 99, 4))
    assert isinstance(refused, Refused)
    assert (to, "99" in refused.reason, str(PROTOCOL_VERSION) in refused.reason) == (b"x", True, True)
    assert broker.say(b"x", Beat()) == [(b"x", Unknown(), b"")]


def test_who_has_not_joined_is_told_so(broker: Broker) -> None:
    assert broker.say(b"stranger", SUBMIT) == [(b"stranger", Unknown(), b"")]


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x93\x01", codec.encode(Beat(), Beat()), codec.encode(Unknown())])
def test_garbage_is_refused_and_counted_and_nobody_else_notices(broker: Broker, garbage: bytes) -> None:
    out = broker.dispatcher.receive(b"r", garbage, b"", broker.now)
    assert [(to, type(message)) for to, message, _ in broker.read(out)] == [(b"r", Refused)]
    assert broker.dispatcher.refused == 1


@pytest.mark.parametrize(
    ("sender", "message"),
    [(b"w", SUBMIT), (b"w", Cancel("j")), (b"r", Done("j", 0, 0.1)), (b"r", Slots(9)), (b"r", Lost("j", 0, "x"))],
)
def test_a_member_may_only_say_what_its_kind_says(broker: Broker, sender: bytes, message: Message) -> None:
    [(to, refused, _)] = broker.say(sender, message)
    assert (to, type(refused)) == (sender, Refused)


def test_a_silent_worker_is_gone_and_its_chunk_runs_elsewhere(broker: Broker) -> None:
    broker.say(b"r", SUBMIT, b"items")
    broker.now += WORKER_SILENCE - 1
    broker.say(b"v", Join("worker", "w2", PROTOCOL_VERSION, 1))
    assert broker.wait(1) == [(b"r", Capacity(1), b""), (b"v", Run("j", 0, "m:f"), b"items")]
    assert broker.say(b"w", Done("j", 0, 0.5)) == [(b"w", Unknown(), b"")]


def test_a_beat_keeps_a_worker_alive(broker: Broker) -> None:
    for _ in range(4):
        broker.now += WORKER_SILENCE - 1
        assert broker.say(b"w", Beat()) == []
        assert broker.wait(0) == []


def test_the_next_tick_is_when_somebody_could_be_gone(broker: Broker) -> None:
    assert broker.dispatcher.next_tick == broker.now + WORKER_SILENCE
    broker.now += 1
    broker.say(b"w", Beat())
    broker.wait(WORKER_SILENCE - 1)
    assert broker.dispatcher.next_tick == broker.now + 1
    assert Dispatcher("b2").next_tick is None


def test_a_silent_runner_is_given_more_time_and_then_its_chunks_are_dropped(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    broker.now += CLIENT_SILENCE - 1
    broker.say(b"w", Beat())
    assert broker.wait(0) == []
    assert broker.wait(1) == [(b"w", Drop("j", 0), b"")]
    assert broker.say(b"r", Beat()) == [(b"r", Unknown(), b"")]


def test_a_runner_that_joins_anew_starts_with_no_chunks(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    out = broker.say(b"r", Join("runner", "r1", PROTOCOL_VERSION, 0))
    assert [message for _, message, _ in out] == [Drop("j", 0), Joined("b1"), Capacity(1)]
    assert broker.say(b"r", SUBMIT) == [(b"w", Run("j", 0, "m:f"), b"")]


def test_a_runner_that_leaves_wants_nothing_any_more(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    assert broker.say(b"r", Leave()) == [(b"w", Drop("j", 0), b"")]


def test_a_worker_that_leaves_may_finish_or_hand_back(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    broker.say(b"r", Submit("j", 1, "m:f", 0))
    assert broker.say(b"w", Leave()) == [(b"r", Capacity(0), b""), (b"w", Unknown(), b"")]
    assert broker.say(b"w", Done("j", 0, 0.1)) == [(b"r", Done("j", 0, 0.1), b"")]
    assert broker.say(b"w", Returned("j", 5)) == []
    assert broker.wait(WORKER_SILENCE) == []
    assert broker.say(b"v", Join("worker", "w2", PROTOCOL_VERSION, 1))[-1] == (b"v", Run("j", 1, "m:f"), b"")


def test_a_chunk_that_is_lost_too_often_fails_with_the_reason(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    assert broker.say(b"w", Lost("j", 0, "killed by signal 9")) == [(b"w", Run("j", 0, "m:f"), b"")]
    [(to, failed, payload)] = broker.say(b"w", Lost("j", 0, "killed by signal 9"))
    assert (to, failed) == (b"r", Failed("j", 0, "lost"))
    assert Failure.from_bytes(payload).message == "killed by signal 9"


def test_answers_that_come_too_late_are_counted(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    broker.say(b"r", Cancel("j"))
    assert broker.say(b"w", Done("j", 0, 0.1)) == []
    assert broker.dispatcher.late == 1


def test_the_chunk_of_a_worker_that_was_started_again_waits_for_no_silence(broker: Broker) -> None:
    broker.say(b"r", Submit("j", 0, "m:f", 2), b"items")
    again = broker.say(b"w-next", Join("worker", "w1", PROTOCOL_VERSION, 1))
    assert (b"w-next", Run("j", 0, "m:f"), b"items") in again
    assert broker.say(b"w", Done("j", 0, 0.1), b"late") == [(b"w", Unknown(), b"")]
