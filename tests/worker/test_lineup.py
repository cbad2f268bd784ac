"""Which slot has which chunks: decisions without a process."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from databench_worker.lineup import (
    GRACE,
    SHORT,
    Chunk,
    End,
    Give,
    Instruction,
    Key,
    Lineup,
    Lose,
    Return,
    TimeOut,
    Withdraw,
)


def chunk(number: int, timeout: float = 0.0) -> Chunk:
    return Chunk(("j", number), timeout, b"run", b"")


def key(number: int) -> Key:
    return ("j", number)


def lineup(slots: int = 1, renew_after: int = 0) -> Lineup:
    line = Lineup(renew_after)
    for slot in range(slots):
        line.begin(slot, 0.0)
    return line


def test_a_chunk_goes_to_an_idle_slot_and_then_behind_the_one_with_fewest() -> None:
    line = lineup(2)
    out = [line.take(chunk(number), 0.0, 2)[0] for number in range(5)]
    slots = [each.slot for each in out if isinstance(each, Give)]
    assert sorted(slots[:2]) == [0, 1]
    assert sorted(slots[2:4]) == [0, 1]


def test_a_chunk_waits_for_a_slot_that_is_about_to_come() -> None:
    line = lineup(1)
    line.take(chunk(0), 0.0, 2)
    assert line.take(chunk(1), 0.0, 2) == []
    assert line.begin(7, 0.0) == [Give(7, chunk(1))]


def test_what_waits_behind_a_chunk_that_is_long_goes_back() -> None:
    line = lineup()
    for number in range(3):
        line.take(chunk(number), 0.0, 1)
    assert line.due() == SHORT
    assert line.tick(SHORT) == [Return(key(1)), Withdraw(0, key(1)), Return(key(2)), Withdraw(0, key(2))]
    assert line.due() is None
    assert line.answered(0, key(0), 1.0) == (True, [])
    assert line.answered(0, key(1), 1.0) == (False, [])


def test_what_comes_late_waits_behind_the_chunk_that_runs_longest_and_no_longer_than_others() -> None:
    line = lineup(2)
    line.take(chunk(0), 0.0, 2)
    line.take(chunk(1), 0.01, 2)
    [given] = line.take(chunk(2), 1.0, 2)
    assert isinstance(given, Give)
    assert line.answered(given.slot, key(0), 1.0 + SHORT / 2) == (True, [])
    line.take(chunk(3), 1.0 + SHORT / 2, 2)
    assert line.due() == 1.0 + 1.5 * SHORT
    assert line.tick(1.0 + SHORT) == []


def test_a_chunk_has_its_time_from_when_it_is_first_in_line() -> None:
    line = lineup()
    line.take(chunk(0), 0.0, 1)
    line.take(chunk(1, timeout=0.01), 0.0, 1)
    line.answered(0, key(0), 0.015)
    assert line.tick(0.02) == []
    assert line.due() == 0.025
    assert line.tick(0.03) == [TimeOut(key(1), 0.01), End(0)]
    assert line.end(0) == []


def test_when_a_slot_ends_only_its_first_chunk_is_lost() -> None:
    line = lineup()
    for number in range(3):
        line.take(chunk(number), 0.0, 1)
    assert line.end(0) == [Lose(key(0)), Return(key(1)), Return(key(2))]
    assert line.chunks == 0


def test_a_dropped_chunk_that_was_not_begun_costs_nothing() -> None:
    line = lineup()
    for number in range(2):
        line.take(chunk(number), 0.0, 1)
    assert line.drop(key(1), 5.0) == [Withdraw(0, key(1))]
    assert line.answered(0, key(0), 5.0) == (True, [])
    assert line.answered(0, key(1), 5.0) == (False, [])
    assert line.due() is None


def test_a_dropped_chunk_that_has_just_begun_has_a_moment_to_finish() -> None:
    line = lineup()
    line.take(chunk(0), 0.0, 1)
    assert line.drop(key(0), 0.01) == [Withdraw(0, key(0))]
    assert line.tick(0.02) == []
    assert line.tick(GRACE) == [End(0)]


def test_the_slot_of_a_dropped_chunk_that_runs_for_long_ends_at_once() -> None:
    line = lineup()
    line.take(chunk(0), 0.0, 1)
    assert line.drop(key(0), 3.0) == [End(0)]


def test_a_dropped_chunk_that_was_begun_after_all_is_ended_when_its_turn_has_come() -> None:
    line = lineup()
    for number in range(2):
        line.take(chunk(number), 0.0, 1)
    line.drop(key(1), 1.0)
    line.answered(0, key(0), 2.0)
    assert line.due() == 2.0 + GRACE
    assert line.tick(2.0 + GRACE) == [End(0)]


def test_a_slot_is_renewed_after_its_last_chunk() -> None:
    line = lineup(renew_after=2)
    line.take(chunk(0), 0.0, 1)
    line.take(chunk(1), 0.0, 1)
    assert line.take(chunk(2), 0.0, 1) == []
    assert line.answered(0, key(0), 0.0) == (True, [])
    assert line.answered(0, key(1), 0.0) == (True, [End(0)])
    line.end(0)
    assert line.begin(1, 0.0) == [Give(1, chunk(2))]


class AnyOrder(RuleBasedStateMachine):
    """Slots that run what they are given in order, and a book of what must be told of each chunk."""

    @initialize(slots=st.integers(1, 3), renew_after=st.integers(0, 4))
    def start(self, slots: int, renew_after: int) -> None:
        self.lineup = Lineup(renew_after)
        self.slots = slots
        self.now = 0.0
        self.numbers = self.next_slot = 0
        self.pipes: dict[int, list[Key]] = {}
        self.killed: set[int] = set()
        self.open: set[Key] = set()
        self.told: Counter[Key] = Counter()
        for _ in range(slots):
            self.fork()

    def fork(self) -> None:
        self.next_slot += 1
        self.pipes[self.next_slot] = []
        self.perform(self.lineup.begin(self.next_slot, self.now))

    def perform(self, out: list[Instruction]) -> None:
        for instruction in out:
            match instruction:
                case Give(slot, given):
                    assert given.key in self.open
                    assert slot not in self.killed
                    self.pipes[slot].append(given.key)
                case Withdraw(slot, dropped):
                    if dropped in self.pipes[slot][1:]:
                        self.pipes[slot].remove(dropped)
                        self.perform(self.lineup.answered(slot, dropped, self.now)[1])
                case End(slot):
                    self.killed.add(slot)
                case Return(each) | Lose(each) | TimeOut(each):
                    self.tell(each)

    def tell(self, each: Key) -> None:
        self.told[each] += 1
        assert self.told[each] == 1
        self.open.remove(each)

    @rule(timeout=st.sampled_from([0.0, 0.1]))
    def take(self, timeout: float) -> None:
        self.numbers += 1
        self.open.add(key(self.numbers))
        self.perform(self.lineup.take(chunk(self.numbers, timeout), self.now, self.slots))

    @rule(data=st.data())
    @precondition(lambda self: any(self.pipes.values()))
    def answer(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(sorted(slot for slot, pipe in self.pipes.items() if pipe)))
        done = self.pipes[slot].pop(0)
        wanted, out = self.lineup.answered(slot, done, self.now)
        assert wanted == (done in self.open)
        if wanted:
            self.tell(done)
        self.perform(out)

    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        slot = data.draw(st.sampled_from(sorted(self.killed & self.pipes.keys() or self.pipes.keys())))
        del self.pipes[slot]
        self.perform(self.lineup.end(slot))
        self.fork()

    @rule(data=st.data())
    @precondition(lambda self: self.open)
    def drop(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(sorted(self.open)))
        self.open.remove(each)
        self.perform(self.lineup.drop(each, self.now))

    @rule(seconds=st.sampled_from([0.001, 0.02, 0.05, 1.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.perform(self.lineup.tick(self.now))

    @invariant()
    def the_books_agree(self) -> None:
        if hasattr(self, "lineup"):
            assert set(self.lineup.keys()) == self.open
            assert self.lineup.chunks == len(self.open)

    def teardown(self) -> None:
        """In the end every slot finishes what it has or ends, and everything is told."""
        while getattr(self, "open", None):
            for slot in list(self.pipes):
                if slot in self.killed:
                    del self.pipes[slot]
                    self.perform(self.lineup.end(slot))
                    self.fork()
                while self.pipes.get(slot):
                    done = self.pipes[slot].pop(0)
                    wanted, out = self.lineup.answered(slot, done, self.now)
                    if wanted:
                        self.tell(done)
                    self.perform(out)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
