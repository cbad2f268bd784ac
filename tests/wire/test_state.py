"""State tables: whoever applies the changes since it last asked has the same values, whenever it asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databench.wire import state
from databench.wire.state import StateTable

NAMES = st.sampled_from("abcdef")
STEPS = st.lists(st.tuples(st.sampled_from(["put", "remove", "ask 0", "ask 1"]), NAMES, st.binary(max_size=3)))


@given(STEPS, st.integers(0, 2))
def test_changes_bring_anyone_up_to_date(steps: list[tuple[str, str, bytes]], remembered: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "FORGET", remembered)
        table = StateTable()
        model: dict[str, bytes] = {}
        known: list[dict[str, bytes]] = [{}, {}]
        asked = [0, 0]
        for step, name, value in [*steps, ("ask 0", "", b""), ("ask 1", "", b"")]:
            if step == "put":
                table.put(name, value)
                model[name] = value
            elif step == "remove":
                table.remove(name)
                model.pop(name, None)
            else:
                who = int(step[-1])
                changes = table.changes(asked[who])
                known[who] = {**({} if changes.whole else known[who]), **changes.values}
                for gone in changes.removed:
                    known[who].pop(gone, None)
                asked[who] = changes.version
                assert known[who] == model
            assert table.size == sum(map(len, model.values()))
            assert len(table) == len(model)


def test_only_the_newest_value_is_told() -> None:
    table = StateTable()
    table.put("a", b"1")
    version = table.version
    for number in range(10):
        table.put("b", b"%d" % number)
    assert table.changes(version).values == {"b": b"9"}


def test_setting_the_same_value_again_is_a_change() -> None:
    table = StateTable()
    table.put("a", b"1")
    version = table.version
    table.put("a", b"1")
    assert table.changes(version).values == {"a": b"1"}


def test_removing_what_is_not_there_is_no_change() -> None:
    table = StateTable()
    table.remove("a")
    assert table.version == 0
    assert table.get("a") is None
