"""The broker's side of the chunk plane, as bytes."""

import doctest
from dataclasses import replace

import pytest

from databench.wire import codec, dispatch
from databench.wire.chunks import Failure
from databench.wire.dispatch import CLIENT_SILENCE, WORKER_SILENCE, Dispatcher
from databench.wire.endings import LEAD
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
from databench.wire.outbox import INLINE, read

Told = list[tuple[bytes, Message, bytes]]


class Broker:
    """A Dispatcher that is spoken to in messages."""

    def __init__(self) -> None:
        self.dispatcher = Dispatcher("b1")
        self.now = 100.0

    def say(self, sender: bytes, message: Message, payload: bytes = b"") -> Told:
        self.dispatcher.receive(sender, codec.encode(message), payload, self.now)
        return self.told()

    def wait(self, seconds: float) -> Told:
        self.now += seconds
        self.dispatcher.tick(self.now)
        return self.told()

    def told(self) -> Told:
        """Return what the broker sends, its payloads as if all were frames of their own."""
        return [
            (to, replace(message, payload=None) if isinstance(message, Run | Done | Failed) else message, payload)
            for to, envelopes, frame in self.dispatcher.outgoing()
            for message, payload in read(envelopes, frame, FROM_BROKER)
        ]


@pytest.fixture
def broker() -> Broker:
    broker = Broker()
    broker.say(b"r", Join("runner", "r1", PROTOCOL_VERSION, 0))
    broker.say(b"w", Join("worker", "w1", PROTOCOL_VERSION, 1))
    return broker


SUBMIT = Submit("j", 0, "m:f", 1, 0.0, "s", 0, None)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(dispatch).failed == 0


def test_a_chunk_goes_to_a_worker_and_its_answer_back_with_payloads_untouched(broker: Broker) -> None:
    assert broker.say(b"r", SUBMIT, b"\xc1 not msgpack") == [(b"w", Run("j", 0, "m:f", 0.0, None), b"\xc1 not msgpack")]
    assert broker.say(b"w", Done("j", 0, 0.5, None), b"\xc1") == [(b"r", Done("j", 0, 0.5, None), b"\xc1")]


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


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x93\x01", codec.encode(Unknown())])
def test_garbage_is_refused_and_counted_and_nobody_else_notices(broker: Broker, garbage: bytes) -> None:
    broker.dispatcher.receive(b"r", garbage, b"", broker.now)
    assert [(to, type(message)) for to, message, _ in broker.told()] == [(b"r", Refused)]
    assert broker.dispatcher.refused == 1


@pytest.mark.parametrize(
    ("sender", "message"),
    [(b"w", SUBMIT), (b"w", Cancel("j")), (b"r", Done("j", 0, 0.1, None)), (b"r", Slots(9)), (b"r", Lost("j", 0, "x"))],
)
def test_a_member_may_only_say_what_its_kind_says(broker: Broker, sender: bytes, message: Message) -> None:
    [(to, refused, _)] = broker.say(sender, message)
    assert (to, type(refused)) == (sender, Refused)


def test_a_silent_worker_is_gone_and_its_chunk_runs_elsewhere(broker: Broker) -> None:
    broker.say(b"r", SUBMIT, b"items")
    broker.now += WORKER_SILENCE - 1
    broker.say(b"v", Join("worker", "w2", PROTOCOL_VERSION, 1))
    assert broker.wait(1) == [(b"r", Capacity(1), b""), (b"v", Run("j", 0, "m:f", 0.0, None), b"items")]
    assert broker.say(b"w", Done("j", 0, 0.5, None)) == [(b"w", Unknown(), b"")]


def test_a_beat_keeps_a_worker_alive(broker: Broker) -> None:
    for _ in range(4):
        broker.now += WORKER_SILENCE - 1
        assert broker.say(b"w", Beat()) == []
        assert broker.wait(0) == []


def test_a_broker_that_was_held_up_takes_nobody_for_dead_because_of_that(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    broker.now += 1
    broker.dispatcher.held_up(3600.0, broker.now + 3600)
    broker.now += 3600
    assert broker.wait(WORKER_SILENCE - 1.1) == []
    assert broker.wait(1.2) == [(b"r", Capacity(0), b"")]


def test_the_next_tick_is_when_a_slot_is_about_to_be_free_where_a_chunk_waits_for_one(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    broker.say(b"w", Done("j", 0, 0.05, b""))
    for chunk in (1, 2):
        broker.say(b"r", replace(SUBMIT, chunk=chunk))
    assert broker.dispatcher.next_tick == pytest.approx(broker.now + 0.05 - LEAD)
    assert broker.wait(0.05 - LEAD) == [(b"w", Run("j", 2, "m:f", 0.0, None), b"")]


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
    assert broker.say(b"r", SUBMIT) == [(b"w", Run("j", 0, "m:f", 0.0, None), b"")]


def test_a_runner_that_leaves_wants_nothing_any_more(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    assert broker.say(b"r", Leave()) == [(b"w", Drop("j", 0), b"")]


def test_a_worker_that_leaves_may_finish_or_hand_back(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    broker.say(b"r", Submit("j", 1, "m:f", 0, 0.0, "s", 0, None))
    assert broker.say(b"w", Leave()) == [(b"r", Capacity(0), b""), (b"w", Unknown(), b"")]
    assert broker.say(b"w", Done("j", 0, 0.1, None)) == [(b"r", Done("j", 0, 0.1, None), b"")]
    assert broker.say(b"w", Returned("j", 5)) == []
    assert broker.wait(WORKER_SILENCE) == []
    assert (b"v", Run("j", 1, "m:f", 0.0, None), b"") in broker.say(b"v", Join("worker", "w2", PROTOCOL_VERSION, 1))


def test_a_chunk_that_is_lost_too_often_fails_with_the_reason(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    assert broker.say(b"w", Lost("j", 0, "killed by signal 9")) == [(b"w", Run("j", 0, "m:f", 0.0, None), b"")]
    [(to, failed, payload)] = broker.say(b"w", Lost("j", 0, "killed by signal 9"))
    assert (to, failed) == (b"r", Failed("j", 0, "lost", None))
    assert Failure.from_bytes(payload).message == "killed by signal 9"


def test_answers_that_come_too_late_are_counted(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    broker.say(b"r", Cancel("j"))
    assert broker.say(b"w", Done("j", 0, 0.1, None)) == []
    assert broker.dispatcher.late == 1


def test_the_chunk_of_a_worker_that_was_started_again_waits_for_no_silence(broker: Broker) -> None:
    broker.say(b"r", Submit("j", 0, "m:f", 2, 0.0, "s", 0, None), b"items")
    again = broker.say(b"w-next", Join("worker", "w1", PROTOCOL_VERSION, 1))
    assert (b"w-next", Run("j", 0, "m:f", 0.0, None), b"items") in again
    assert broker.say(b"w", Done("j", 0, 0.1, None), b"late") == [(b"w", Unknown(), b"")]


def test_what_comes_together_is_answered_together_with_large_payloads_as_frames_of_their_own(broker: Broker) -> None:
    broker.say(b"w", Slots(3))
    large = bytes(INLINE + 1)
    submits = [replace(SUBMIT, chunk=chunk, payload=payload) for chunk, payload in ((0, b"a"), (1, b"b"), (2, None))]
    broker.dispatcher.receive(b"r", codec.encode(*submits), large, broker.now)
    [(to, envelopes, payload)] = broker.dispatcher.outgoing()
    runs = [Run("j", 0, "m:f", 0.0, b"a"), Run("j", 1, "m:f", 0.0, b"b"), Run("j", 2, "m:f", 0.0, None)]
    assert (to, codec.decode(envelopes, FROM_BROKER), payload) == (b"w", runs, large)


def test_chunks_are_given_out_when_all_that_came_together_is_known(broker: Broker) -> None:
    frame = codec.encode(replace(SUBMIT, payload=b""), Cancel("j"), replace(SUBMIT, job="k", payload=b""))
    broker.dispatcher.receive(b"r", frame, b"", broker.now)
    assert broker.told() == [(b"w", Run("k", 0, "m:f", 0.0, None), b"")]


def test_what_was_said_before_leaving_counts_and_nothing_follows_the_answer(broker: Broker) -> None:
    for chunk in (0, 1):
        broker.say(b"r", replace(SUBMIT, chunk=chunk))
    broker.dispatcher.receive(b"w", codec.encode(Done("j", 0, 0.1, b""), Leave()), b"", broker.now)
    told = broker.told()
    assert (b"r", Done("j", 0, 0.1, None), b"") in told
    assert [message for to, message, _ in told if to == b"w"] == [Run("j", 1, "m:f", 0.0, None), Unknown()]
    assert broker.say(b"w", Returned("j", 1)) == []


def test_only_the_last_of_a_frame_may_have_its_payload_outside(broker: Broker) -> None:
    broker.dispatcher.receive(b"r", codec.encode(SUBMIT, replace(SUBMIT, chunk=1)), b"items", broker.now)
    assert [type(message) for _, message, _ in broker.told()] == [Refused]


def test_the_time_limit_goes_to_the_worker_and_what_is_no_time_is_refused(broker: Broker) -> None:
    told = broker.say(b"r", replace(SUBMIT, timeout=1.5), b"items")
    assert told == [(b"w", Run("j", 0, "m:f", 1.5, None), b"items")]
    for timeout in (-1.0, float("nan"), float("inf")):
        assert isinstance(broker.say(b"r", replace(SUBMIT, chunk=1, timeout=timeout))[0][1], Refused)


def test_a_priority_may_be_negative(broker: Broker) -> None:
    broker.say(b"r", replace(SUBMIT, job="first"))
    for job, priority in (("low", -3), ("usual", 0), ("high", 3)):
        broker.say(b"r", replace(SUBMIT, job=job, rank=codec.fold(priority)))
    order = ["first"]
    for _ in range(3):
        order += [each.job for _, each, _ in broker.say(b"w", Done(order[-1], 0, 1.0, None)) if isinstance(each, Run)]
    assert order == ["first", "high", "usual", "low"]


def test_the_chunks_of_a_worker_whose_connection_closed_run_elsewhere_at_once(broker: Broker) -> None:
    broker.say(b"r", SUBMIT, b"items")
    broker.say(b"v", Join("worker", "w2", PROTOCOL_VERSION, 1))
    broker.dispatcher.disconnected(b"w", broker.now)
    assert broker.told() == [(b"r", Capacity(1), b""), (b"v", Run("j", 0, "m:f", 0.0, None), b"items")]
    assert broker.say(b"w", Done("j", 0, 0.1, None)) == [(b"w", Unknown(), b"")]


def test_a_runner_whose_connection_closed_keeps_its_chunks_until_it_speaks_and_submits_again(broker: Broker) -> None:
    broker.say(b"r", SUBMIT, b"items")
    broker.dispatcher.disconnected(b"r", broker.now)
    broker.dispatcher.disconnected(b"stranger", broker.now)
    assert broker.told() == []
    assert broker.say(b"w", Done("j", 0, 0.1, None)) == [(b"r", Done("j", 0, 0.1, None), b"")]
    again = replace(SUBMIT, job="k")
    assert broker.say(b"r", again) == broker.say(b"r", Beat()) == [(b"r", Unknown(), b"")]
    assert [type(each) for _, each, _ in broker.say(b"r", Join("runner", "r1", PROTOCOL_VERSION, 0))] == [
        Joined,
        Capacity,
    ]
    assert broker.say(b"r", again) == [(b"w", Run("k", 0, "m:f", 0.0, None), b"")]


def test_a_runner_whose_connection_closed_may_leave_or_fall_silent(broker: Broker) -> None:
    broker.say(b"r", SUBMIT)
    broker.dispatcher.disconnected(b"r", broker.now)
    assert broker.say(b"r", Leave()) == [(b"w", Drop("j", 0), b"")]
    broker.say(b"s", Join("runner", "r2", PROTOCOL_VERSION, 0))
    broker.say(b"s", SUBMIT)
    broker.dispatcher.disconnected(b"s", broker.now)
    for _ in range(int(CLIENT_SILENCE)):
        broker.now += 1
        broker.say(b"w", Beat())
    assert broker.wait(0) == [(b"w", Drop("j", 0), b"")]
