"""The session log: what a session emitted, numbered, and how far each viewer has come with it.

Pure: no clock, no locks, no sockets. Owns the numbers, the bounds and the decision whether there is
room; docs/protocol.md, section 2, is its contract.
"""

from dataclasses import dataclass

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import Gap, Signal

WINDOW = 1_024
"""Signals that may be on their way to a viewer without an acknowledgement."""
WINDOW_BYTES = 4 * 2**20
"""The same in bytes; a single larger signal may travel alone."""
KEPT = 8 * WINDOW
"""Signals that the log keeps for viewers who come back."""
KEPT_BYTES = 4 * WINDOW_BYTES
"""The same in bytes."""
ENVELOPE = 1_000
"""More bytes than a signal has besides its payload."""
FRAME_LIMIT = 64_000
"""Signals that are ready are joined to frames of at most this many bytes."""


@dataclass(slots=True)
class _Cursor:
    """How far a viewer has come: the last signal sent to it, the last that it acknowledged."""

    sent: int
    acked: int


class SessionLog:
    """The numbered signals of one session, from the oldest that is kept to the newest."""

    def __init__(self) -> None:
        self.first = 1
        self.last = 0
        self._frames: dict[int, bytes] = {}
        self._ends: dict[int, int] = {0: 0}
        """Bytes of all signals up to and with that number, so that a range is measured by one subtraction."""
        self._cursors: dict[str, _Cursor] = {}

    @property
    def viewers(self) -> list[str]:
        """The viewers attached."""
        return list(self._cursors)

    def room(self, size: int = 0) -> bool:
        """Return whether the slowest viewer has room for one more signal with a payload of `size` bytes.

        Without viewers there always is.
        """
        acked = self._acknowledged()
        return self.last - acked < WINDOW and self._size(acked) < WINDOW_BYTES and not self.overrun(size)

    def overrun(self, size: int = 0) -> bool:
        """Return whether such a signal would push out one that a viewer has not acknowledged."""
        acked = self._acknowledged()
        if acked == self.last:
            return False
        return self.last - acked >= KEPT or self._size(acked) + size + ENVELOPE > KEPT_BYTES

    def append(self, name: str, payload: bytes) -> int:
        """Add a signal and return its number; the oldest beyond the bounds are dropped."""
        self.last += 1
        self._frames[self.last] = frame = codec.encode(Signal(self.last, name, payload))
        self._ends[self.last] = self._ends[self.last - 1] + len(frame)
        while self.last - self.first >= KEPT or (self._size(self.first - 1) > KEPT_BYTES and self.first < self.last):
            del self._frames[self.first], self._ends[self.first - 1]
            self.first += 1
        return self.last

    def attach(self, viewer: str, seen: int) -> bytes:
        """Add a viewer that handled signals up to `seen`; return the frame that tells it of a gap, or nothing.

        Raises RemoteProtocolError for a number that was never sent.
        """
        if seen > self.last:
            raise RemoteProtocolError(f"signal {seen} was never sent, the last one is {self.last}")
        start = max(seen, self.first - 1)
        self._cursors[viewer] = _Cursor(start, start)
        return codec.encode(Gap(start, start - seen)) if start > seen else b""

    def detach(self, viewer: str) -> None:
        """Forget a viewer."""
        self._cursors.pop(viewer, None)

    def acknowledge(self, viewer: str, seq: int) -> None:
        """Note that the viewer handled all signals up to `seq`.

        Raises RemoteProtocolError for a number that was not sent to it.
        """
        cursor = self._cursors[viewer]
        if seq > cursor.sent:
            raise RemoteProtocolError(f"signal {seq} was acknowledged, the last one sent is {cursor.sent}")
        cursor.acked = max(cursor.acked, seq)

    def take(self, viewer: str) -> bytes:
        """Return the next frame for a viewer, as far as its window goes; nothing when there is none."""
        cursor = self._cursors[viewer]
        cursor.sent = max(cursor.sent, self.first - 1)
        cursor.acked = max(cursor.acked, self.first - 1)
        parts: list[bytes] = []
        size = 0
        while (following := self._frames.get(cursor.sent + 1)) is not None:
            on_the_way = cursor.sent - cursor.acked
            bytes_on_the_way = self._ends[cursor.sent] - self._ends[cursor.acked]
            if on_the_way >= WINDOW or (on_the_way and bytes_on_the_way + len(following) > WINDOW_BYTES):
                break
            if parts and size + len(following) > FRAME_LIMIT:
                break
            parts.append(following)
            size += len(following)
            cursor.sent += 1
        return b"".join(parts)

    def _acknowledged(self) -> int:
        """Return up to where everybody who watches has acknowledged."""
        return min((cursor.acked for cursor in self._cursors.values()), default=self.last)

    def _size(self, after: int) -> int:
        return self._ends[self.last] - self._ends[max(after, self.first - 1)]
