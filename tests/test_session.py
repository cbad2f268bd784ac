"""A session: numbers, room, acknowledgements and the end, as its handlers and the runner see them."""

import asyncio
import threading

import pytest

import databench
from databench import flushing
from databench import session as sessions
from databench.errors import AnalysisError, Cancelled, PayloadError, RemoteProtocolError
from databench.session import ANSWER, Session
from databench.signals import current_session
from databench.wire import codec
from databench.wire.log import BOUNDS
from databench.wire.messages import TO_BROWSER, Accepted, Attached, Ended, Gap, Signal, Signals, StateChange
from tests.author import Pages
from tests.clock import Clock

WINDOW = BOUNDS.window
NO_STATE = StateChange(1, True, codec.pack([{}, []]))
KEPT, SAFE = BOUNDS.kept, BOUNDS.safe


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
async def session(pages: Pages) -> Session:
    session = Session("pi", "token", pages.deliver, max_payload=10_000)
    session.attach("v", "page", 0, resumed=False)
    return session


def fill(session: Session, count: int = WINDOW) -> None:
    for number in range(count):
        session.emit("n", number)


async def test_who_attaches_is_answered_first(session: Session, pages: Pages) -> None:
    session.emit("a", 1)
    await pages.get("a")
    assert pages.messages["v"] == [Attached("token", False, 0, 0), NO_STATE, Signals(1, "a", [b"\x01"])]


async def test_what_one_turn_emits_travels_together() -> None:
    frames: list[bytes] = []
    session = Session("pi", "token", lambda _, frame: frames.append(frame))
    session.attach("v", "page", 0, resumed=False)
    fill(session, 10)
    assert len(frames) == 1
    await asyncio.sleep(0)
    assert len(frames) == 2


async def test_that_a_signal_was_accepted_travels_with_what_is_emitted_next(clock: Clock) -> None:
    frames: list[bytes] = []
    session = Session("pi", "token", lambda _, frame: frames.append(frame))
    session.attach("v", "page", 0, resumed=False)
    session.accept("v", Signal(1, "run", b"\xc0"))
    await asyncio.sleep(0)
    assert len(frames) == 1
    session.emit("a", 1)
    await clock.advance(2 * ANSWER)
    assert [codec.decode(frame, TO_BROWSER) for frame in frames[1:]] == [[Accepted(1), Signals(1, "a", [b"\x01"])]]


async def test_what_a_thread_emits_after_a_signal_of_the_page_is_not_gathered_as_a_burst(
    session: Session, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flushing, "BURST", 3600.0)
    monkeypatch.setattr(flushing, "GATHER", 3600.0)
    monkeypatch.setattr(sessions, "ANSWER", 3600.0)
    session.acknowledge("v", 0, 1)
    session.accept("v", Signal(1, "run", b"\xc0"))
    await asyncio.to_thread(session.emit, "a", 1)
    assert await pages.get("a") == [1]


async def test_every_viewer_gets_every_signal(session: Session, pages: Pages) -> None:
    session.attach("w", "other", 0, resumed=True)
    session.emit("a", 1)
    await pages.get("a", viewer="w")
    assert pages.named("a") == [1]
    assert session.viewers == ["v", "w"]


async def test_who_comes_back_gets_what_it_missed(session: Session, pages: Pages) -> None:
    fill(session, 3)
    await pages.get("n", 3)
    session.detach("v")
    fill(session, 2)
    session.attach("again", "page", 2, resumed=True)
    assert pages.signals("again") == [("n", 2), ("n", 0), ("n", 1)]


async def test_who_comes_back_too_late_learns_how_much_is_lost(session: Session, pages: Pages) -> None:
    session.detach("v")
    fill(session, KEPT + 10)
    session.attach("again", "page", 2, resumed=True)
    assert pages.others("again") == [Attached("token", True, 0, 0), Gap(KEPT - SAFE + 1, KEPT - SAFE - 1)]


async def test_a_viewer_with_a_number_never_sent_is_refused(session: Session) -> None:
    with pytest.raises(RemoteProtocolError):
        session.attach("w", "other", 1, resumed=True)
    assert session.viewers == ["v"]


@pytest.mark.parametrize("name", ["", "n" * 201, 7])
async def test_a_name_that_is_none_is_refused(session: Session, name: str) -> None:
    with pytest.raises(AnalysisError, match="a signal's name is a string of 1 to 200 characters"):
        session.emit(name)


async def test_what_cannot_be_sent_is_refused_where_it_is_emitted(session: Session) -> None:
    with pytest.raises(PayloadError, match=r"payload\['a'\] is of type object"):
        session.emit("a", {"a": object()})


async def test_a_payload_beyond_the_limit_is_refused(session: Session) -> None:
    with pytest.raises(PayloadError, match="more than the limit of 10,000"):
        session.emit("a", b"x" * 10_001)


async def test_a_signal_that_came_before_is_not_handled_again(session: Session, pages: Pages) -> None:
    assert session.accept("v", Signal(1, "run", b"\xc0"))
    assert not session.accept("v", Signal(1, "run", b"\xc0"))
    assert session.accept("v", Signal(2, "run", b"\xc0"))
    await pages.until(lambda: Accepted(2) in pages.messages["v"])
    assert pages.others() == [Attached("token", False, 0, 0), Accepted(2)]


async def test_a_signal_that_leaves_a_hole_closes_the_connection_with_4003(session: Session) -> None:
    with pytest.raises(RemoteProtocolError, match="signal 1 is missing, 2 came") as caught:
        session.accept("v", Signal(2, "run", b"\xc0"))
    assert caught.value.close_code == 4003


async def test_a_duplicate_is_acknowledged_again(session: Session, pages: Pages) -> None:
    session.accept("v", Signal(1, "run", b"\xc0"))
    await pages.until(lambda: Accepted(1) in pages.messages["v"])
    session.accept("v", Signal(1, "run", b"\xc0"))
    await pages.until(lambda: pages.messages["v"].count(Accepted(1)) == 2)


async def test_emit_in_a_thread_waits_for_room_and_goes_on_after_an_acknowledgement(
    session: Session, pages: Pages
) -> None:
    fill(session)
    await pages.get("n", WINDOW)
    emitting = asyncio.ensure_future(asyncio.to_thread(session.emit, "late"))
    await asyncio.to_thread(wait_for_waiter, session)
    assert not emitting.done()
    pages.acknowledge(session)
    await emitting
    await pages.get("late")


async def test_emit_in_a_thread_goes_on_when_the_slow_viewer_leaves(session: Session, pages: Pages) -> None:
    fill(session)
    emitting = asyncio.ensure_future(asyncio.to_thread(session.emit, "late"))
    await asyncio.to_thread(wait_for_waiter, session)
    session.detach("v")
    await emitting
    assert pages.named("late") == []


async def test_emit_in_a_thread_is_cancelled_when_the_session_ends_while_it_waits(session: Session) -> None:
    fill(session)
    emitting = asyncio.ensure_future(asyncio.to_thread(outcome, session))
    await asyncio.to_thread(wait_for_waiter, session)
    session.end("over")
    assert await emitting is Cancelled
    assert await asyncio.to_thread(outcome, session) is Cancelled


def outcome(session: Session) -> type[BaseException] | None:
    try:
        session.emit("late")
    except Cancelled:
        return Cancelled
    return None


def wait_for_waiter(session: Session) -> None:
    """Return when a thread waits for room: whoever waits has let go of the lock and is in line."""
    while True:
        with session._room:
            if session._room._waiters:  # type: ignore[attr-defined]
                return


async def test_awaiting_emit_suspends_while_the_window_is_full(session: Session, pages: Pages) -> None:
    fill(session, WINDOW - 1)

    async def emit() -> None:
        await session.emit("late")

    emitting = asyncio.ensure_future(emit())
    await pages.get("late")
    assert not emitting.done()
    pages.acknowledge(session)
    await emitting


async def test_awaiting_emit_goes_on_when_nobody_watches_any_more(session: Session) -> None:
    fill(session, WINDOW)
    waiting = asyncio.ensure_future(session.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    session.detach("v")
    await waiting


async def test_a_flood_that_is_not_awaited_is_an_error(session: Session) -> None:
    with pytest.raises(AnalysisError, match=r"too far behind for emit\('n'\): write `await"):
        fill(session, KEPT + 1)


async def test_a_computation_that_nobody_watches_never_waits(session: Session) -> None:
    session.detach("v")
    fill(session, 2 * KEPT)
    await session.emit("n", -1)
    await asyncio.to_thread(session.emit, "n", -2)


async def test_what_was_emitted_before_the_end_still_leaves(session: Session, pages: Pages) -> None:
    session.emit("last", 1)
    session.end("over")
    assert pages.messages["v"][-2:] == [Signals(1, "last", [b"\x01"]), Ended("over")]
    assert session.viewers == []


async def test_after_the_end_nothing_is_sent_any_more(session: Session, pages: Pages) -> None:
    session.end("over")
    await session.emit("late")
    await asyncio.sleep(0)
    assert pages.messages["v"][-1] == Ended("over")


async def test_an_end_without_a_reason_tells_the_page_nothing(session: Session, pages: Pages) -> None:
    session.end("")
    assert pages.messages["v"] == [Attached("token", False, 0, 0), NO_STATE]


async def test_the_end_is_safe_while_threads_emit(session: Session, pages: Pages) -> None:
    for number in range(20):
        session.attach(f"w{number}", f"page {number}", 0, resumed=True)
    threads = [asyncio.ensure_future(asyncio.to_thread(flood, session)) for _ in range(4)]
    await pages.get("flood", 10)
    session.end("over")
    assert await asyncio.gather(*threads) == [None] * 4


def flood(session: Session) -> None:
    try:
        while True:
            session.emit("flood")
    except Cancelled:
        pass


async def test_emits_of_several_threads_are_each_sent_once(session: Session, pages: Pages) -> None:
    def emit(thread: int) -> None:
        for number in range(100):
            session.emit("n", [thread, number])

    await asyncio.gather(*(asyncio.to_thread(emit, thread) for thread in range(4)))
    got = await pages.get("n", 400)
    for thread in range(4):
        assert [pair for pair in got if isinstance(pair, list) and pair[0] == thread] == [
            [thread, number] for number in range(100)
        ]


def test_sleep_without_a_session_sleeps() -> None:
    databench.sleep(0)


async def test_sleep_on_the_loop_is_refused(session: Session) -> None:
    current_session.set(session)
    with pytest.raises(AnalysisError, match=r"use `await asyncio\.sleep`"):
        databench.sleep(0)


async def test_sleep_ends_at_once_when_the_session_ends(session: Session) -> None:
    current_session.set(session)
    begun = threading.Event()

    def sleep() -> bool:
        begun.set()
        try:
            databench.sleep(3600)
        except Cancelled:
            return True
        return False

    sleeping = asyncio.ensure_future(asyncio.to_thread(sleep))
    await asyncio.to_thread(begun.wait)
    session.end("over")
    assert await sleeping


async def test_a_thread_inherits_the_session_and_ends_quietly_with_it(session: Session, pages: Pages) -> None:
    current_session.set(session)

    def emit_for_ever(first: object) -> None:
        current_session.get().emit("first", first)
        databench.sleep(3600)

    thread = databench.thread(emit_for_ever, 7)
    assert thread.daemon
    assert await pages.get("first") == [7]
    session.end("over")
    await asyncio.to_thread(thread.join)
