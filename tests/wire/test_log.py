"""The session log: numbers, windows, bounds and gaps, by example and against a simple model."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from databench.errors import RemoteProtocolError
from databench.wire.log import BOUNDS, PATIENCE, SessionLog
from databench.wire.messages import Gap, Signals
from databench.wire.ring import ENVELOPE, Bounds
from tests.runs import decoded

WINDOW, WINDOW_BYTES = BOUNDS.window, BOUNDS.window_bytes
KEPT, SAFE = BOUNDS.kept, BOUNDS.safe
KEPT_BYTES = BOUNDS.kept_bytes
DROPPED = KEPT - SAFE + 1
"""The oldest that are dropped at once when there is one too many."""
FRAME_LIMIT = BOUNDS.frame


def fill(session_log: SessionLog, count: int, size: int = 1) -> None:
    for _ in range(count):
        session_log.append("s", b"x" * size)


def taken(session_log: SessionLog, viewer: str = "v") -> list[int]:
    """The numbers of all signals that a viewer may get now."""
    numbers: list[int] = []
    while frame := session_log.take(viewer):
        numbers += [message.seq for message in decoded(frame) if isinstance(message, Signals)]
    return numbers


@pytest.fixture
def session_log() -> SessionLog:
    return SessionLog()


@pytest.fixture
def watched(session_log: SessionLog) -> SessionLog:
    session_log.attach("v", 0)
    return session_log


def test_signals_are_numbered_from_one(watched: SessionLog) -> None:
    assert [watched.append("a", b"1"), watched.append("b", b"2")] == [1, 2]
    assert decoded(watched.take("v")) == [Signals(1, "a", [b"1"]), Signals(2, "b", [b"2"])]
    assert watched.take("v") == b""


def test_frames_are_joined_up_to_the_limit(watched: SessionLog) -> None:
    fill(watched, 10, FRAME_LIMIT // 4)
    frames = list(iter(lambda: watched.take("v"), b""))
    assert [len(decoded(frame)) for frame in frames] == [3, 3, 3, 1]
    assert max(map(len, frames)) <= FRAME_LIMIT


def test_a_window_of_signals_is_on_the_way(watched: SessionLog) -> None:
    fill(watched, WINDOW + 10)
    assert taken(watched) == list(range(1, WINDOW + 1))
    watched.acknowledge("v", 4)
    assert taken(watched) == list(range(WINDOW + 1, WINDOW + 5))


def test_a_window_of_bytes_is_on_the_way(watched: SessionLog) -> None:
    fill(watched, 6, WINDOW_BYTES // 4)
    assert taken(watched) == [1, 2, 3]
    watched.acknowledge("v", 1)
    assert taken(watched) == [4]


def test_a_signal_larger_than_the_window_travels_alone(watched: SessionLog) -> None:
    fill(watched, 1)
    fill(watched, 2, WINDOW_BYTES + 1)
    assert taken(watched) == [1]
    watched.acknowledge("v", 1)
    assert taken(watched) == [2]
    assert taken(watched) == []
    watched.acknowledge("v", 2)
    assert taken(watched) == [3]


def test_there_is_room_until_a_window_of_signals_is_not_acknowledged(watched: SessionLog) -> None:
    fill(watched, WINDOW - 1)
    assert watched.room()
    fill(watched, 1)
    assert not watched.room()
    taken(watched)
    assert not watched.room()
    watched.acknowledge("v", 1)
    assert watched.room()


def test_there_is_room_until_a_window_of_bytes_is_not_acknowledged(watched: SessionLog) -> None:
    fill(watched, 1, WINDOW_BYTES - 100)
    assert watched.room()
    fill(watched, 1, 100)
    assert not watched.room()


def test_there_always_is_room_while_nobody_watches(session_log: SessionLog) -> None:
    fill(session_log, KEPT + 1)
    assert session_log.room()
    assert session_log.room(KEPT_BYTES)
    assert not session_log.overrun()


def test_the_slowest_viewer_decides_whether_there_is_room(watched: SessionLog) -> None:
    watched.attach("w", 0)
    fill(watched, WINDOW)
    taken(watched)
    taken(watched, "w")
    watched.acknowledge("v", WINDOW)
    assert not watched.room()
    watched.detach("w")
    assert watched.room()


def test_it_is_overrun_when_the_next_one_pushes_out_one_that_is_not_acknowledged(watched: SessionLog) -> None:
    fill(watched, SAFE - 1)
    assert not watched.overrun()
    fill(watched, 1)
    assert watched.overrun()
    assert watched.first == 1


def test_it_is_overrun_by_bytes_too(watched: SessionLog) -> None:
    fill(watched, 3, KEPT_BYTES // 4)
    assert not watched.overrun()
    assert watched.overrun(KEPT_BYTES // 4)
    assert not watched.room(KEPT_BYTES // 4)


def test_a_huge_signal_does_not_push_out_what_a_viewer_waits_for(watched: SessionLog) -> None:
    fill(watched, 1)
    assert watched.overrun(KEPT_BYTES)
    assert not watched.room(KEPT_BYTES)
    taken(watched)
    watched.acknowledge("v", 1)
    assert watched.room(2 * KEPT_BYTES)
    fill(watched, 1, 2 * KEPT_BYTES)
    assert taken(watched) == [2]


def test_the_log_keeps_a_number_of_signals(session_log: SessionLog) -> None:
    fill(session_log, KEPT + 5)
    assert (session_log.first, session_log.last) == (DROPPED + 1, KEPT + 5)


def test_the_log_keeps_a_number_of_bytes(session_log: SessionLog) -> None:
    fill(session_log, 20, KEPT_BYTES // 10)
    assert (session_log.first, session_log.last) == (12, 20)


def test_the_newest_signal_is_kept_however_large_it_is(session_log: SessionLog) -> None:
    fill(session_log, 3)
    fill(session_log, 1, KEPT_BYTES + 1)
    assert (session_log.first, session_log.last) == (4, 4)


def test_who_comes_back_in_time_gets_what_comes_after(session_log: SessionLog) -> None:
    fill(session_log, 10)
    session_log.attach("v", 7)
    assert taken(session_log) == [8, 9, 10]


def test_who_comes_back_too_late_is_told_how_much_is_lost(session_log: SessionLog) -> None:
    fill(session_log, KEPT + 5)
    session_log.attach("v", 2)
    gap, *signals = decoded(session_log.take("v"))
    assert gap == Gap(DROPPED, DROPPED - 2)
    assert signals[0] == Signals(DROPPED + 1, "s", [b"x"])


def test_who_was_just_in_time_is_told_of_no_gap(session_log: SessionLog) -> None:
    fill(session_log, KEPT + 5)
    session_log.attach("v", DROPPED)
    assert decoded(session_log.take("v"))[0] == Signals(DROPPED + 1, "s", [b"x"])


def test_a_number_that_was_never_sent_is_refused(session_log: SessionLog) -> None:
    fill(session_log, 3)
    with pytest.raises(RemoteProtocolError, match="signal 4 was never sent, the last one is 3"):
        session_log.attach("v", 4)
    assert session_log.viewers == []


def test_an_acknowledgement_of_what_was_not_sent_is_refused(watched: SessionLog) -> None:
    fill(watched, 3)
    with pytest.raises(RemoteProtocolError, match="signal 1 was acknowledged, the last one sent is 0"):
        watched.acknowledge("v", 1)


def test_an_older_acknowledgement_changes_nothing(watched: SessionLog) -> None:
    fill(watched, WINDOW)
    taken(watched)
    watched.acknowledge("v", WINDOW)
    watched.acknowledge("v", 1)
    assert watched.room()


def test_a_closed_log_keeps_nothing_and_has_no_room(session_log: SessionLog) -> None:
    fill(session_log, 3)
    session_log.close()
    assert not session_log.room()
    assert not session_log.offer("s", b"x")
    assert (session_log.first, session_log.last) == (1, 0)


def test_each_viewer_gets_everything(watched: SessionLog) -> None:
    fill(watched, 3)
    assert taken(watched) == [1, 2, 3]
    watched.attach("w", 0)
    fill(watched, 1)
    assert taken(watched, "w") == [1, 2, 3, 4]
    assert taken(watched) == [4]
    assert watched.viewers == ["v", "w"]


def test_a_viewer_that_attaches_again_begins_where_it_says(watched: SessionLog) -> None:
    fill(watched, 3)
    taken(watched)
    watched.attach("v", 1)
    assert taken(watched) == [2, 3]


def test_detaching_twice_is_harmless(watched: SessionLog) -> None:
    watched.detach("v")
    watched.detach("v")
    assert watched.viewers == []


def test_nobody_waits_longer_than_patience_for_a_viewer_that_gives_no_sign(watched: SessionLog) -> None:
    fill(watched, WINDOW)
    assert not watched.leave_behind(100.0)
    assert not watched.leave_behind(100.0 + PATIENCE - 0.1)
    assert not watched.room()
    assert watched.leave_behind(100.0 + PATIENCE)
    assert watched.room()


def test_a_sign_renews_patience(watched: SessionLog) -> None:
    fill(watched, WINDOW)
    taken(watched)
    watched.leave_behind(0.0)
    watched.acknowledge("v", 1)
    fill(watched, 1)
    assert not watched.leave_behind(PATIENCE)
    assert not watched.room()


def test_who_is_left_behind_leaves_the_others_alone(watched: SessionLog) -> None:
    watched.attach("w", 0)
    fill(watched, WINDOW)
    taken(watched, "w")
    watched.acknowledge("w", WINDOW)
    watched.leave_behind(0.0)
    watched.leave_behind(PATIENCE)
    fill(watched, WINDOW - 1)
    assert watched.room()
    fill(watched, 1)
    assert not watched.room(), "w is waited for"


def test_what_is_on_its_way_to_a_viewer_stays_within_the_window_however_far_it_falls_behind(
    watched: SessionLog,
) -> None:
    fill(watched, WINDOW)
    assert len(taken(watched)) == WINDOW
    watched.leave_behind(0.0)
    watched.leave_behind(PATIENCE)
    for _ in range(3):
        fill(watched, KEPT)
        assert taken(watched) == []
    watched.acknowledge("v", WINDOW - 1)
    assert taken(watched) == []
    watched.acknowledge("v", WINDOW)
    assert len(taken(watched)) == WINDOW


def test_who_was_left_behind_is_told_of_its_gap_and_waited_for_when_it_has_caught_up(watched: SessionLog) -> None:
    fill(watched, WINDOW)
    assert taken(watched)[-1] == WINDOW
    watched.leave_behind(0.0)
    watched.leave_behind(PATIENCE)
    fill(watched, KEPT + 10)
    watched.acknowledge("v", WINDOW)
    assert watched.room(), "it is still far behind"
    gap, *signals = decoded(watched.take("v"))
    assert gap == Gap(watched.first - 1, watched.first - 1 - WINDOW)
    assert isinstance(signals[0], Signals)
    assert signals[0].seq == watched.first
    for _ in range(KEPT // WINDOW):
        numbers = taken(watched)
        watched.acknowledge("v", numbers[-1])
    assert numbers[-1] == watched.last
    fill(watched, WINDOW)
    assert not watched.room()


class AgainstAModel(RuleBasedStateMachine):
    """Appends only where `overrun` allows it, as a session does; with small bounds, so that they are met."""

    viewers: Bundle[str] = Bundle("viewers")

    def __init__(self) -> None:
        super().__init__()
        self.log = SessionLog(Bounds(window=4, window_bytes=200, kept=8, kept_bytes=500, envelope=40, frame=100))
        self.sent: list[bytes] = []
        """What was appended, in order."""
        self.seen: dict[str, int] = {}
        self.acked: dict[str, int] = {}
        self.names = 0
        self.now = 0.0

    @rule(size=st.integers(0, 50) | st.integers(0, 700))
    def append(self, size: int) -> None:
        if self.log.overrun(size):
            assert self.seen, "it was overrun while nobody watched"
            self.now += PATIENCE / 2
            self.log.leave_behind(self.now)
            return
        payload = len(self.sent).to_bytes(2, "big") + bytes(size)
        self.sent.append(payload)
        assert self.log.append("s", payload) == len(self.sent)

    @rule(target=viewers, data=st.data())
    def attach(self, data: st.DataObject) -> str:
        seen = data.draw(st.integers(0, len(self.sent)))
        self.names += 1
        viewer = f"v{self.names}"
        self.log.attach(viewer, seen)
        self.seen[viewer] = self.acked[viewer] = seen
        return viewer

    @rule(target=viewers, viewer=consumes(viewers))
    def take(self, viewer: str) -> str:
        first = self.log.first
        if frame := self.log.take(viewer):
            messages = decoded(frame)
            assert len(frame) <= 100 or sum(isinstance(message, Signals) for message in messages) == 1
            for message in messages:
                if isinstance(message, Gap):
                    assert message == Gap(first - 1, first - 1 - self.seen[viewer])
                    assert message.count > 0
                    assert self.acked[viewer] == self.seen[viewer]
                    self.seen[viewer] = self.acked[viewer] = message.seq
                    continue
                self.seen[viewer] += 1
                assert message == Signals(self.seen[viewer], "s", [self.sent[self.seen[viewer] - 1]])
            assert self.seen[viewer] - self.acked[viewer] <= 4
        elif self.seen[viewer] == self.acked[viewer]:
            assert self.seen[viewer] == len(self.sent), "nothing is on the way, and yet nothing comes"
        return viewer

    @rule(target=viewers, viewer=consumes(viewers), data=st.data())
    def acknowledge(self, viewer: str, data: st.DataObject) -> str:
        self.acked[viewer] = data.draw(st.integers(self.acked[viewer], self.seen[viewer]))
        self.log.acknowledge(viewer, self.acked[viewer])
        return viewer

    @rule(viewer=consumes(viewers))
    def detach(self, viewer: str) -> None:
        self.log.detach(viewer)
        del self.seen[viewer], self.acked[viewer]

    @invariant()
    def the_bounds_are_kept(self) -> None:
        assert self.log.last - self.log.first < 8
        size = sum(len(payload) + 1 + ENVELOPE for payload in self.sent[self.log.first - 1 :])
        assert size <= 500 or self.log.first == self.log.last

    @invariant()
    def room_is_less_than_what_is_kept(self) -> None:
        assert not self.log.room() or not self.log.overrun()


TestAgainstAModel = AgainstAModel.TestCase
