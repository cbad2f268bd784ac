"""How many signals may come, and when those refused are told, with a clock that the test moves."""

from hypothesis import given
from hypothesis import strategies as st

from databench.wire.messages import HELD
from databench.wire.rates import RateLimit


def test_twice_the_rate_may_come_at_once_and_then_the_rate() -> None:
    limit = RateLimit(10, now=100.0, least=1)
    assert sum(limit.take(100.0) for _ in range(50)) == 20
    assert sum(limit.take(101.0) for _ in range(50)) == 10
    assert limit.refused == 70


def test_what_a_page_held_back_may_come_at_once_whatever_the_rate() -> None:
    limit = RateLimit(1, now=0.0)
    assert sum(limit.take(0.0) for _ in range(2 * HELD)) == HELD


def test_a_rate_of_zero_is_no_limit() -> None:
    limit = RateLimit(0, now=0.0)
    assert all(limit.take(0.0) for _ in range(10_000))


def test_what_was_refused_is_told_once_a_second_and_nothing_is_forgotten() -> None:
    limit = RateLimit(0.5, now=0.0, least=1)
    assert limit.take(0.0)
    assert limit.tell(0.0) == 0
    assert [(limit.take(0.0), limit.tell(0.0)) for _ in range(3)] == [(False, 1), (False, 0), (False, 0)]
    assert limit.tell(0.9) == 0
    assert limit.tell(1.0) == 2
    assert limit.tell(5.0) == 0


def test_a_clock_that_goes_back_fills_nothing() -> None:
    limit = RateLimit(1, now=10.0, least=2)
    assert [limit.take(10.0), limit.take(10.0), limit.take(5.0)] == [True, True, False]


@given(st.floats(0.1, 100), st.lists(st.floats(0, 10), max_size=200))
def test_no_more_than_a_burst_and_the_rate_ever_pass(rate: float, pauses: list[float]) -> None:
    limit, now, passed = RateLimit(rate, now=0.0, least=1), 0.0, 0
    for pause in pauses:
        now += pause
        passed += limit.take(now)
    assert passed <= max(1.0, 2 * rate) + rate * now + 0.001
    assert passed + limit.refused == len(pauses)
