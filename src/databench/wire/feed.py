"""What each viewer of a session gets, and in which order: the answer to its signals, state, signals.

Pure: puts log and state together and owns what pages sent. Knows no handler, no clock and no socket.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.log import SessionLog
from databench.wire.messages import Accepted
from databench.wire.state import Changes

PAGES = 64
"""Pages whose numbers a session remembers."""


class Table(Protocol):
    """State that viewers are told of."""

    @property
    def version(self) -> int:
        """Counts changes."""

    def changes(self, since: int) -> Changes:
        """Return what changed after a version; everything for 0."""


@dataclass(slots=True)
class _Viewer:
    page: str
    told: list[int]
    """For each table the version that this viewer was told of."""
    number: int = 0
    """State messages sent on this connection."""
    acked: int = 0
    """State messages that the viewer has handled."""
    accepting: bool = False
    """Whether it is to be told what was accepted."""


@dataclass(slots=True)
class Feed:
    """The viewers of one session; `log` and `tables` are what they look at."""

    log: SessionLog
    tables: Sequence[Table]
    _viewers: dict[str, _Viewer] = field(default_factory=dict)
    _received: dict[str, int] = field(default_factory=dict)
    """By page, the one heard least recently first: the number of the last signal that was accepted from it."""

    @property
    def viewers(self) -> list[str]:
        """The viewers attached."""
        return list(self._viewers)

    @property
    def owing(self) -> bool:
        """Whether any page is still to be told what was accepted from it."""
        return any(viewer.accepting for viewer in self._viewers.values())

    def attach(self, viewer: str, page: str, seen: int) -> int:
        """Add a viewer that handled signals up to `seen`; return the last number accepted from its page.

        Raises RemoteProtocolError for a number that was never sent.
        """
        self.log.attach(viewer, seen)
        self._viewers[viewer] = _Viewer(page, [0] * len(self.tables))
        received = self._received[page] = self._received.pop(page, 0)
        self._forget_pages()
        return received

    def detach(self, viewer: str) -> None:
        """Forget a viewer, and keep what its page has sent."""
        self.log.detach(viewer)
        self._viewers.pop(viewer, None)

    def of_page(self, page: str) -> list[str]:
        """Return the viewers of a page: one, or one more that is dead and not yet noticed."""
        return [name for name, viewer in self._viewers.items() if viewer.page == page]

    def accept(self, viewer: str, seq: int) -> bool:
        """Return whether a signal of this number is new; raises RemoteProtocolError when one before it is missing."""
        sender = self._viewers[viewer]
        received = self._received[sender.page]
        if seq > received + 1:
            raise RemoteProtocolError(f"signal {received + 1} is missing, {seq} came", close_code=4003)
        sender.accepting = True
        if seq <= received:
            return False
        self._received[sender.page] = seq
        return True

    def acknowledge(self, viewer: str, seq: int, state: int) -> None:
        """Note what a viewer has handled; raises RemoteProtocolError for a number not sent to it."""
        reader = self._viewers[viewer]
        if state > reader.number:
            raise RemoteProtocolError(f"state {state} was acknowledged, the last one sent is {reader.number}")
        self.log.acknowledge(viewer, seq)
        reader.acked = max(reader.acked, state)

    def take(self, viewer: str) -> bytes:
        """Return the next frame for a viewer; nothing when there is none for now."""
        reader = self._viewers[viewer]
        head = b""
        if reader.accepting:
            reader.accepting = False
            head = codec.encode(Accepted(self._received[reader.page]))
        return head + self._take_state(reader) + self.log.take(viewer)

    def _take_state(self, reader: _Viewer) -> bytes:
        """Return what changed, when the viewer has handled what it was told last."""
        if reader.acked != reader.number:
            return b""
        if reader.number and [table.version for table in self.tables] == reader.told:
            return b""
        changes = [table.changes(told) for table, told in zip(self.tables, reader.told, strict=True)]
        if reader.number and any(change.whole and told for change, told in zip(changes, reader.told, strict=True)):
            # One of them has forgotten what was removed: what is whole is so for all of them.
            changes = [table.changes(0) for table in self.tables]
        whole = not reader.number or all(change.whole for change in changes)
        reader.told = [change.version for change in changes]
        reader.number += 1
        values = {name: value for change in changes for name, value in change.values.items()}
        removed = [name for change in changes for name in change.removed]
        return codec.encode_state(reader.number, whole, values, removed)

    def _forget_pages(self) -> None:
        watching = {viewer.page for viewer in self._viewers.values()}
        for page in [page for page in self._received if page not in watching]:
            if len(self._received) <= PAGES:
                return
            del self._received[page]
