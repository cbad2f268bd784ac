"""State as authors use it: a mapping with bounds, whose changes reach the pages of its sessions."""

import asyncio

import pytest

import databench
from databench import state as module
from databench.errors import AnalysisError, Cancelled, PayloadError, RemoteProtocolError
from databench.session import Session
from databench.state import State
from databench.wire import codec
from databench.wire.messages import StateChange
from tests.author import Pages


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def shared() -> State:
    return State("shared")


@pytest.fixture
async def session(pages: Pages, shared: State) -> Session:
    session = Session("pi", "token", pages.deliver, shared=shared, max_payload=10_000)
    session.attach("v", "page", 0, resumed=False)
    return session


def changes(pages: Pages, viewer: str = "v") -> list[object]:
    return [codec.unpack(m.changes)[0] for m in pages.messages[viewer] if isinstance(m, StateChange)]


def test_it_is_a_mapping() -> None:
    state = State("state")
    state["a"] = [1, 2]
    state.update({"b": 2}, c=3)
    assert state == {"a": [1, 2], "b": 2, "c": 3}
    assert list(state) == ["a", "b", "c"]
    assert state.pop("b") == 2
    assert state.get("b") is None
    assert len(state) == 2
    assert "a" in state
    assert repr(state) == "<state:{'a': [1, 2], 'c': 3}>"
    del state["a"]
    with pytest.raises(KeyError):
        state["a"]
    with pytest.raises(KeyError):
        del state["a"]


@pytest.mark.parametrize("key", ["", "k" * 195, 7, None])
def test_a_key_is_a_short_string(key: object) -> None:
    with pytest.raises(AnalysisError, match="a key of the state is a string of 1 to 194 characters"):
        State("state")[key] = 1  # type: ignore[index]


def test_what_cannot_be_sent_is_refused_and_changes_nothing() -> None:
    state = State("state")
    with pytest.raises(PayloadError, match="object"):
        state["a"] = object()
    assert dict(state) == {}


def test_a_full_state_takes_no_new_key_but_new_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEYS", 2)
    state = State("state")
    state.update(a=1, b=2)
    with pytest.raises(AnalysisError, match="'state:c' was not set: the state has 2 keys"):
        state["c"] = 3
    state["a"] = 4
    assert state == {"a": 4, "b": 2}


def test_all_values_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIZE", 100)
    state = State("state")
    state["a"] = bytes(60)
    with pytest.raises(AnalysisError, match="'state:b' was not set"):
        state["b"] = bytes(60)
    state["a"] = bytes(90)
    assert list(state) == ["a"]


async def test_what_is_set_in_one_turn_travels_together(session: Session, pages: Pages) -> None:
    session.state["pi"] = 3
    session.state["pi"] = 3.1
    session.state["draws"] = 10
    pages.acknowledge(session)
    await pages.until(lambda: len(changes(pages)) == 2)
    assert changes(pages) == [{}, {"state:draws": 10, "state:pi": 3.1}]


async def test_a_slow_page_gets_the_newest_values_and_not_the_backlog(session: Session, pages: Pages) -> None:
    pages.acknowledge(session)
    for number in range(100):
        session.state["n"] = number
        await asyncio.sleep(0)
    pages.acknowledge(session)
    assert changes(pages) == [{}, {"state:n": 0}, {"state:n": 99}]


async def test_it_can_be_set_and_removed_in_threads(session: Session, pages: Pages) -> None:
    def set_it() -> None:
        for number in range(100):
            session.state[f"n{number % 10}"] = number
        del session.state["n3"]

    await asyncio.gather(*(asyncio.to_thread(set_it) for _ in range(4)), return_exceptions=True)
    pages.acknowledge(session)
    await pages.until(lambda: len(pages.known()) == 9)
    assert pages.known() == {f"state:n{number}": 90 + number for number in range(10) if number != 3}


async def test_the_pages_of_all_sessions_see_what_is_shared(session: Session, pages: Pages, shared: State) -> None:
    other_pages = Pages()
    other = Session("pi", "token 2", other_pages.deliver, shared=shared)
    other.attach("v", "page 2", 0, resumed=False)
    for each, looked in ((session, pages), (other, other_pages)):
        looked.acknowledge(each)
    await asyncio.to_thread(shared.update, n=7)
    await asyncio.gather(
        pages.until(lambda: pages.known() == {"shared:n": 7}),
        other_pages.until(lambda: other_pages.known() == {"shared:n": 7}),
    )


async def test_who_attaches_later_gets_all_of_it(session: Session, pages: Pages, shared: State) -> None:
    session.state["a"] = 1
    shared["b"] = 2
    session.attach("w", "other", 0, resumed=True)
    assert pages.known("w") == {"state:a": 1, "shared:b": 2}


async def test_after_the_end_nothing_is_set_and_a_plain_handler_stops(session: Session) -> None:
    session.state["a"] = 1
    session.end("over")
    session.state["a"] = 2
    assert session.state["a"] == 1
    with pytest.raises(Cancelled):
        await asyncio.to_thread(session.state.__setitem__, "a", 3)


async def test_a_session_that_ended_is_not_woken_any_more(session: Session, pages: Pages, shared: State) -> None:
    session.end("")
    told = len(pages.messages["v"])
    shared["b"] = 2
    await asyncio.sleep(0)
    assert len(pages.messages["v"]) == told
    assert shared._watching == {}


def test_what_a_page_sent_is_taken_over_decoded() -> None:
    state = State("state")
    state.take_over("a", codec.pack({"b": [1]}))
    assert state == {"a": {"b": [1]}}
    with pytest.raises(RemoteProtocolError, match="does not decode"):
        state.take_over("a", b"\xc1")
    with pytest.raises(AnalysisError, match="a key of the state"):
        state.take_over("", b"\xc0")


def test_what_counts_is_told_again_also_where_nothing_does() -> None:
    state = State("state")
    state["a"] = 1
    version = state.version
    state.tell_again("a")
    state.tell_again("b")
    told = state.changes(version)
    assert told.values == {"state:a": b"\x01"}
    assert told.removed == ["state:b"]


def test_it_is_public() -> None:
    assert databench.State is State
