"""The session log: what a session emitted, numbered, and how far each viewer has come with it.

Pure: no clock, no locks, no sockets. Owns the numbers, the bounds and the decision whether there is
room; docs/protocol.md, section 2, is its contract.
"""

from dataclasses import dataclass

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import Gap

WINDOW = 4_096
"""Signals that may be on their way to a viewer without an acknowledgement."""
WINDOW_BYTES = 4 * 2**20
"""The same in bytes; a single larger signal may travel alone."""
KEPT = 4 * WINDOW
"""Signals that the log keeps for viewers who come back."""
KEPT_BYTES = 4 * WINDOW_BYTES
"""The same in bytes."""
ENVELOPE = 1_000
"""More bytes than a signal has besides its payload."""
RESERVED = 64
"""Signals of those that are left to the session itself, so that it can say that an author's found no room."""
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
        self._acked = 0
        """Up to where everybody who watches has acknowledged; meaningless without viewers."""

    @property
    def viewers(self) -> list[str]:
        """The viewers attached."""
        return list(self._cursors)

    def room(self, size: int = 0) -> bool:
        """Return whether the slowest viewer has room for one more signal with a payload of `size` bytes.

        Without viewers there always is.
        """
        if not self._cursors or self._acked == self.last:
            return True
        waiting = self._ends[self.last] - self._ends[self._acked]
        return self.last - self._acked < WINDOW and waiting < WINDOW_BYTES and waiting + size + ENVELOPE <= KEPT_BYTES

    def overrun(self, size: int = 0, reserve: int = 0) -> bool:
        """Return whether such a signal, and `reserve` more, would push out one that a viewer has not acknowledged."""
        if not self._cursors or self._acked == self.last:
            return False
        waiting = self._ends[self.last] - self._ends[self._acked]
        return self.last - self._acked >= KEPT - reserve or waiting + size + ENVELOPE > KEPT_BYTES

    def append(self, name: str, payload: bytes) -> int:
        """Add a signal and return its number; the oldest beyond the bounds are dropped."""
        self.last = seq = self.last + 1
        self._frames[seq] = frame = codec.encode_signal(seq, name, payload)
        self._ends[seq] = end = self._ends[seq - 1] + len(frame)
        if seq - self.first >= KEPT or end - self._ends[self.first - 1] > KEPT_BYTES:
            self._drop_oldest()
        return seq

    def _drop_oldest(self) -> None:
        end = self._ends[self.last]
        while self.first < self.last and (
            self.last - self.first >= KEPT or end - self._ends[self.first - 1] > KEPT_BYTES
        ):
            del self._frames[self.first], self._ends[self.first - 1]
            self.first += 1
        if self._cursors and self._acked < self.first - 1:
            for cursor in self._cursors.values():
                cursor.sent = max(cursor.sent, self.first - 1)
                cursor.acked = max(cursor.acked, self.first - 1)
            self._measure()

    def attach(self, viewer: str, seen: int) -> bytes:
        """Add a viewer that handled signals up to `seen`; return the frame that tells it of a gap, or nothing.

        Raises RemoteProtocolError for a number that was never sent.
        """
        if seen > self.last:
            raise RemoteProtocolError(f"signal {seen} was never sent, the last one is {self.last}")
        start = max(seen, self.first - 1)
        self._cursors[viewer] = _Cursor(start, start)
        self._measure()
        return codec.encode(Gap(start, start - seen)) if start > seen else b""

    def detach(self, viewer: str) -> None:
        """Forget a viewer."""
        self._cursors.pop(viewer, None)
        self._measure()

    def acknowledge(self, viewer: str, seq: int) -> None:
        """Note that the viewer handled all signals up to `seq`.

        Raises RemoteProtocolError for a number that was not sent to it.
        """
        cursor = self._cursors[viewer]
        if seq > cursor.sent:
            raise RemoteProtocolError(f"signal {seq} was acknowledged, the last one sent is {cursor.sent}")
        cursor.acked = max(cursor.acked, seq)
        self._measure()

    def take(self, viewer: str) -> bytes:
        """Return the next frame for a viewer, as far as its window goes; nothing when there is none."""
        cursor = self._cursors[viewer]
        acked_end = self._ends[cursor.acked]
        until = min(self.last, cursor.acked + WINDOW)
        seq, start = cursor.sent, self._ends[cursor.sent]
        while seq < until:
            end = self._ends[seq + 1]
            if (seq > cursor.sent and end - start > FRAME_LIMIT) or (
                seq > cursor.acked and end - acked_end > WINDOW_BYTES
            ):
                break
            seq += 1
        frame = b"".join([self._frames[each] for each in range(cursor.sent + 1, seq + 1)])
        cursor.sent = seq
        return frame

    def _measure(self) -> None:
        self._acked = min((cursor.acked for cursor in self._cursors.values()), default=0)
