"""Records are values: compared by what they hold, and by what they are."""

from dataclasses import replace

from databench.wire.messages import Accepted, Ack, Cancel, Capacity


def test_records_that_hold_the_same_are_the_same() -> None:
    assert Cancel("j") == Cancel("j") != Cancel("k")
    assert len({Ack(1, 2), Ack(1, 2), Ack(2, 1)}) == 2


def test_records_of_different_kinds_are_different_whatever_they_hold() -> None:
    assert len({Accepted(3), Capacity(3)}) == 2


def test_a_record_shows_what_it_holds_and_is_replaced_rather_than_changed() -> None:
    assert repr(replace(Ack(1, 2), state=3)) == "Ack(seq=1, state=3)"
