"""Broadcasts: numbered, joined, and repeated to those who come back, as far as they are kept."""

import pytest

from databench.errors import RemoteProtocolError
from databench.wire.broadcasts import BroadcastLog
from databench.wire.messages import Broadcasts, Message, Missed
from databench.wire.ring import Bounds
from tests import runs

BOUNDS = Bounds(window=4, window_bytes=200, kept=8, kept_bytes=600, frame=120)


def decoded(frames: list[bytes]) -> list[Message]:
    return [message for frame in frames for message in runs.decoded(frame)]


@pytest.fixture
def log() -> BroadcastLog:
    return BroadcastLog(BOUNDS)


def publish(log: BroadcastLog, count: int) -> list[bytes]:
    frames: list[bytes] = []
    for _ in range(count):
        log.append("n", b"\xc0")
        frames += iter(log.take, b"")
    return frames


def test_what_waits_is_joined_up_to_the_limit(log: BroadcastLog) -> None:
    for _ in range(6):
        log.append("n", b"\xc0")
    frames = list(iter(log.take, b""))
    assert decoded(frames) == [Broadcasts(number, "n", [b"\xc0"]) for number in range(1, 7)]
    assert 1 < len(frames) < 6
    assert max(map(len, frames)) <= BOUNDS.frame


def test_one_that_is_larger_travels_alone(log: BroadcastLog) -> None:
    log.append("n", bytes(100))
    log.append("n", b"\xc0")
    assert [len(runs.decoded(frame)) for frame in iter(log.take, b"")] == [1, 1]


def test_there_is_room_until_too_many_wait_to_be_published(log: BroadcastLog) -> None:
    for _ in range(BOUNDS.window):
        assert log.room
        log.append("n", b"\xc0")
    assert not log.room
    assert log.take()
    assert log.room


def test_there_is_room_until_too_many_bytes_wait(log: BroadcastLog) -> None:
    log.append("n", bytes(BOUNDS.window_bytes))
    assert not log.room


def test_who_comes_back_gets_what_was_published_meanwhile(log: BroadcastLog) -> None:
    publish(log, 5)
    log.append("late", b"\xc0")
    assert decoded(log.catch_up(3)) == [Broadcasts(4, "n", [b"\xc0"]), Broadcasts(5, "n", [b"\xc0"])]
    assert log.catch_up(5) == []


def test_who_comes_back_too_late_is_told_how_much_it_missed(log: BroadcastLog) -> None:
    publish(log, 20)
    missed, *rest = decoded(log.catch_up(3))
    assert missed == Missed(12, 9)
    assert rest == [Broadcasts(number, "n", [b"\xc0"]) for number in range(13, 21)]


def test_a_number_that_was_never_published_is_refused(log: BroadcastLog) -> None:
    log.append("n", b"\xc0")
    with pytest.raises(RemoteProtocolError, match="broadcast 1 was never sent, the last one is 0"):
        log.catch_up(1)


def test_what_is_pushed_out_before_it_was_published_leaves_a_hole(log: BroadcastLog) -> None:
    for _ in range(20):
        log.append("n", b"\xc0")
    assert decoded(list(iter(log.take, b"")))[0] == Broadcasts(13, "n", [b"\xc0"])
    assert decoded(log.catch_up(0))[0] == Missed(12, 12)
