"""What the viewers of a session get, by example and against a network that loses, doubles, swaps and cuts off."""

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.feed import PAGES, Feed
from databench.wire.log import SessionLog
from databench.wire.messages import Accepted, Gap, Message, Signals, StateChange
from databench.wire.ring import Bounds
from databench.wire.state import StateTable
from tests import runs


def decoded(frame: bytes) -> list[Message]:
    return runs.decoded(frame) if frame else []


@pytest.fixture
def own() -> StateTable:
    return StateTable()


@pytest.fixture
def shared() -> StateTable:
    return StateTable()


@pytest.fixture
def feed(own: StateTable, shared: StateTable) -> Feed:
    feed = Feed(SessionLog(), (own, shared))
    assert feed.attach("v", "page", 0) == 0
    return feed


def change(number: int, whole: bool, values: dict[str, object], removed: list[str]) -> StateChange:
    return StateChange(number, whole, codec.pack([values, removed]))


def test_the_first_thing_that_a_viewer_gets_is_the_whole_state(feed: Feed, own: StateTable) -> None:
    own.put("state:pi", codec.pack(3))
    feed.log.append("s", b"\xc0")
    assert decoded(feed.take("v")) == [change(1, True, {"state:pi": 3}, []), Signals(1, "s", [b"\xc0"])]
    assert feed.take("v") == b""


def test_changes_wait_until_the_last_ones_are_acknowledged_and_only_the_newest_come(
    feed: Feed, own: StateTable, shared: StateTable
) -> None:
    shared.put("shared:n", codec.pack("before"))
    feed.take("v")
    for number in range(5):
        own.put("state:n", codec.pack(number))
    shared.put("shared:n", codec.pack("all"))
    assert feed.take("v") == b""
    feed.acknowledge("v", 0, 1)
    assert decoded(feed.take("v")) == [change(2, False, {"state:n": 4, "shared:n": "all"}, [])]
    own.remove("state:n")
    feed.acknowledge("v", 0, 2)
    assert decoded(feed.take("v")) == [change(3, False, {}, ["state:n"])]
    feed.acknowledge("v", 0, 3)
    assert feed.take("v") == b""


def test_a_viewer_that_comes_back_gets_the_whole_state_again(feed: Feed, own: StateTable) -> None:
    own.put("state:n", codec.pack(1))
    feed.take("v")
    feed.detach("v")
    feed.attach("again", "page", 0)
    assert decoded(feed.take("again")) == [change(1, True, {"state:n": 1}, [])]


def test_state_that_was_never_sent_cannot_be_acknowledged(feed: Feed) -> None:
    with pytest.raises(RemoteProtocolError, match="state 1 was acknowledged, the last one sent is 0"):
        feed.acknowledge("v", 0, 1)


def test_each_page_counts_its_own_signals(feed: Feed) -> None:
    feed.attach("w", "other", 0)
    assert feed.accept("v", 1)
    assert feed.accept("w", 1)
    assert not feed.accept("w", 1)
    assert decoded(feed.take("v"))[0] == Accepted(1)
    assert feed.owing
    assert decoded(feed.take("w"))[0] == Accepted(1)
    assert not feed.owing
    feed.detach("v")
    assert feed.attach("v2", "page", 0) == 1
    assert feed.of_page("page") == ["v2"]


def test_a_hole_in_what_a_page_sends_is_refused_with_4003(feed: Feed) -> None:
    with pytest.raises(RemoteProtocolError, match="signal 1 is missing, 2 came") as caught:
        feed.accept("v", 2)
    assert caught.value.close_code == 4003


def test_pages_are_forgotten_beyond_a_number_but_none_that_watches(feed: Feed) -> None:
    feed.accept("v", 1)
    for number in range(2 * PAGES):
        feed.attach("w", f"other {number}", 0)
        feed.accept("w", 1)
        feed.detach("w")
    assert feed.attach("w", f"other {2 * PAGES - 1}", 0) == 1
    assert feed.attach("x", "other 0", 0) == 0
    assert not feed.accept("v", 1)


@dataclass
class Page:
    """A page as the protocol wants it: takes frames, tells when it has to come back."""

    name: str
    viewer: str = ""
    got: list[bytes | int] = field(default_factory=list)
    """What it got: payloads, and for a gap how many are missing."""
    known: dict[str, object] = field(default_factory=dict)
    seen: int = 0
    told: int = 0
    sent: int = 0
    accepted: int = 0
    network: list[bytes] = field(default_factory=list)

    def take(self, frame: bytes) -> bool:
        """Return whether the page is content; if not, it closes the connection."""
        for message in decoded(frame):
            match message:
                case Signals(seq, _, [payload]) if seq == self.seen + 1:
                    self.seen = seq
                    self.got.append(payload)
                case Signals(seq, _, _) if seq > self.seen:
                    return False
                case Gap(seq, count) if seq > self.seen:
                    assert seq - count == self.seen
                    self.seen = seq
                    self.got.append(count)
                case StateChange(number, whole, changes):
                    if number != self.told + 1:
                        # Doubled or overtaken on a connection that keeps no order: a WebSocket does.
                        return number <= self.told
                    values, removed = codec.unpack(changes)
                    self.known = dict(values) if whole else {**self.known, **values}
                    for name in removed:
                        self.known.pop(name, None)
                    self.told = number
                case Accepted(seq):
                    self.accepted = max(self.accepted, seq)
        return True


class AgainstANetwork(RuleBasedStateMachine):
    """Two pages look at a session through connections that may lose, double, swap and break off."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = (StateTable(), StateTable())
        bounds = Bounds(window=4, window_bytes=200, kept=8, kept_bytes=400, envelope=30, frame=60)
        self.feed = Feed(SessionLog(bounds), self.tables)
        self.pages = [Page("one"), Page("two")]
        self.emitted: list[bytes] = []
        self.handled: dict[str, list[int]] = {"one": [], "two": []}
        self.connections = 0
        for page in self.pages:
            self.connect(page)

    def connect(self, page: Page) -> None:
        for ghost in self.feed.of_page(page.name):
            self.feed.detach(ghost)
        self.connections += 1
        page.viewer = f"v{self.connections}"
        page.network = []
        page.told = 0
        page.accepted = self.feed.attach(page.viewer, page.name, page.seen)

    def flush(self, page: Page) -> None:
        if page.viewer:
            page.network += iter(lambda: self.feed.take(page.viewer), b"")

    @rule(size=st.integers(0, 60) | st.integers(0, 500))
    def emit(self, size: int) -> None:
        if self.feed.log.overrun(size):
            return
        self.emitted.append(len(self.emitted).to_bytes(2, "big") + bytes(size))
        self.feed.log.append("s", self.emitted[-1])

    @rule(table=st.integers(0, 1), name=st.sampled_from("abc"), value=st.integers() | st.none())
    def change(self, table: int, name: str, value: int | None) -> None:
        if value is None:
            self.tables[table].remove(f"{table}:{name}")
        else:
            self.tables[table].put(f"{table}:{name}", codec.pack(value % 2**32))

    @rule(which=st.integers(0, 1), swap=st.booleans(), lose=st.booleans(), double=st.booleans())
    def deliver(self, which: int, swap: bool, lose: bool, double: bool) -> None:
        page = self.pages[which]
        self.flush(page)
        if swap:
            page.network.reverse()
        if not page.network:
            return
        frame = page.network.pop(0)
        for _ in range(0 if lose else 2 if double else 1):
            if not page.take(frame):
                self.cut(which)
                return

    @rule(which=st.integers(0, 1))
    def acknowledge(self, which: int) -> None:
        page = self.pages[which]
        if page.viewer:
            self.feed.acknowledge(page.viewer, page.seen, page.told)

    @rule(which=st.integers(0, 1), again=st.booleans())
    def send(self, which: int, again: bool) -> None:
        page = self.pages[which]
        if not page.viewer:
            return
        if not again:
            page.sent += 1
        # Everything that is not accepted may be sent again at any time.
        for seq in range(page.accepted + 1, page.sent + 1):
            if self.feed.accept(page.viewer, seq):
                self.handled[page.name].append(seq)

    @rule(which=st.integers(0, 1))
    def cut(self, which: int) -> None:
        page = self.pages[which]
        if page.viewer:
            self.feed.detach(page.viewer)
        page.viewer = ""

    @precondition(lambda self: not all(page.viewer for page in self.pages))
    @rule(which=st.integers(0, 1))
    def come_back(self, which: int) -> None:
        self.connect(self.pages[which])

    @rule(which=st.integers(0, 1))
    def reload(self, which: int) -> None:
        self.cut(which)
        name = f"{self.pages[which].name}'"
        self.pages[which] = Page(name)
        self.handled[name] = []
        self.connect(self.pages[which])

    @invariant()
    def pages_got_what_was_emitted_in_order_and_once(self) -> None:
        for page in self.pages:
            at = 0
            for item in page.got:
                if isinstance(item, int):
                    at += item
                else:
                    assert item == self.emitted[at]
                    at += 1
            assert at == page.seen

    @invariant()
    def what_a_page_sent_was_handled_once(self) -> None:
        assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in self.handled.values())

    def teardown(self) -> None:
        for page in self.pages:
            self.connect(page)
            for _ in range(100):
                self.flush(page)
                if not page.network:
                    break
                while page.network:
                    assert page.take(page.network.pop(0))
                self.feed.acknowledge(page.viewer, page.seen, page.told)
            assert page.seen == len(self.emitted)
            state = {
                name: codec.unpack(value) for table in self.tables for name, value in table.changes(0).values.items()
            }
            assert page.known == state
        self.pages_got_what_was_emitted_in_order_and_once()


TestAgainstANetwork = AgainstANetwork.TestCase
