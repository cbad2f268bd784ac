"""The session log: what a session emitted, numbered, and how far each viewer has come with it.

Pure: no clock, no locks, no sockets. Owns the numbers, the bounds and the decision whether there is
room; docs/protocol.md, section 2, is its contract.
"""

import sys
from dataclasses import dataclass

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import Gap, Signals
from databench.wire.ring import Bounds, Ring

BOUNDS = Bounds()
RESERVED = 64
"""Signals of those kept that are left to the session itself, so that it can say that an author's found no room."""
PATIENCE = 10.0
"""Seconds without a sign after which nobody waits for a viewer any more."""


@dataclass(slots=True)
class _Cursor:
    """How far a viewer has come: the last signal sent to it, the last that it acknowledged."""

    sent: int
    acked: int
    stalled: float | None = None
    """Since when others have been waiting for it without a sign."""
    behind: bool = False
    """It did not read for so long that nobody waits for it, until it has caught up."""


class SessionLog:
    """The numbered signals of one session, and the viewers' places in them."""

    __slots__ = ("_acked", "_bounds", "_closed", "_cursors", "_free", "_free_end", "_ring", "_small")

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self._bounds = bounds
        self._ring = Ring(bounds)
        self._cursors: dict[str, _Cursor] = {}
        self._acked: int | None = None
        """Up to where all that are waited for have acknowledged; None when nobody is."""
        self._closed = False
        self._free = self._free_end = sys.maxsize
        """Below this number and this end of the ring there is room for a small signal, without looking closer."""
        self._small = bounds.safe_bytes - bounds.window_bytes - bounds.envelope

    @property
    def first(self) -> int:
        """The number of the oldest signal that is kept."""
        return self._ring.first

    @property
    def last(self) -> int:
        """The number of the newest signal."""
        return self._ring.last

    @property
    def viewers(self) -> list[str]:
        """The viewers attached."""
        return list(self._cursors)

    def room(self, size: int = 0) -> bool:
        """Return whether the slowest viewer has room for one more signal with a payload of `size` bytes.

        Without viewers, and with none but those that are left behind, there always is.
        """
        ring = self._ring
        if ring.last < self._free and ring.end < self._free_end and size <= self._small:
            return True
        if self._closed:
            return False
        acked = self._acked
        if acked is None or acked == ring.last:
            return True
        bounds = self._bounds
        waiting = ring.size(acked, ring.last)
        return (
            ring.last - acked < bounds.window
            and waiting < bounds.window_bytes
            and waiting + size + bounds.envelope <= bounds.safe_bytes
        )

    def offer(self, name: str, payload: bytes) -> bool:
        """Add a signal where it has room, and return whether it had: `room` and `append` in one, for every `emit`."""
        ring = self._ring
        tight = ring.last >= self._free or ring.end >= self._free_end or len(payload) > self._small
        if tight and not self.room(len(payload)):
            return False
        ring.append(name, payload)
        if self._acked is not None and self._acked < ring.first - 1:
            self._measure()
        return True

    def overrun(self, size: int = 0, reserve: int = 0) -> bool:
        """Return whether such a signal, and `reserve` more, would push out one that somebody is waited for with."""
        acked, ring = self._acked, self._ring
        if acked is None or acked == ring.last:
            return False
        bounds = self._bounds
        waiting = ring.size(acked, ring.last)
        return ring.last - acked >= bounds.safe - reserve or waiting + size + bounds.envelope > bounds.safe_bytes

    def append(self, name: str, payload: bytes) -> int:
        """Add a signal and return its number; the oldest beyond the bounds are dropped."""
        ring = self._ring
        seq = ring.append(name, payload)
        if self._acked is not None and self._acked < ring.first - 1:
            self._measure()
        return seq

    def attach(self, viewer: str, seen: int) -> None:
        """Add a viewer that handled signals up to `seen`.

        Raises RemoteProtocolError for a number that was never sent.
        """
        if seen > self._ring.last:
            raise RemoteProtocolError(f"signal {seen} was never sent, the last one is {self._ring.last}")
        self._cursors[viewer] = _Cursor(seen, seen)
        self._measure()

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
        if seq > cursor.acked:
            cursor.acked = seq
            cursor.stalled = None
            cursor.behind = cursor.behind and self._ring.last - self._place(cursor) >= self._bounds.window
            self._measure()

    def close(self) -> None:
        """Have no room any more, and keep nothing: a session outlives its end until the last thread lets go of it."""
        self._closed = True
        self._ring = Ring(self._bounds)
        self._free = 0

    def leave_behind(self, now: float) -> bool:
        """Call it while somebody waits for room; return whether a viewer was left behind because it gave no sign."""
        left = False
        for cursor in self._cursors.values():
            if cursor.behind or self._place(cursor) != self._acked:
                continue
            if cursor.stalled is None:
                cursor.stalled = now
            elif now - cursor.stalled >= PATIENCE:
                cursor.behind = left = True
        if left:
            self._measure()
        return left

    def take(self, viewer: str) -> bytes:
        """Return the next frame for a viewer, as far as its window goes; nothing when there is none.

        A viewer that the log has outrun is first told of the gap.
        """
        cursor, ring, bounds = self._cursors[viewer], self._ring, self._bounds
        head = b""
        if cursor.acked < ring.first - 1:
            if cursor.sent > cursor.acked:
                # What is on its way is not kept any more: only its acknowledgement makes room for something else.
                return b""
            head = codec.encode(Gap(ring.first - 1, ring.first - 1 - cursor.sent))
            cursor.sent = cursor.acked = ring.first - 1
        sent, acked = cursor.sent, cursor.acked
        if sent == ring.last:
            return head
        until = min(
            acked + bounds.window,
            max(ring.reach(acked, bounds.window_bytes), acked + 1),
            max(ring.reach(sent, bounds.frame - len(head)), sent + 1),
        )
        if until <= sent:
            return head
        cursor.sent = until
        return head + codec.encode_runs(Signals, sent + 1, *ring.slice(sent, until))

    def _place(self, cursor: _Cursor) -> int:
        """Return from where on what the viewer has not acknowledged is still kept."""
        return max(cursor.acked, self._ring.first - 1)

    def _measure(self) -> None:
        places = [self._place(cursor) for cursor in self._cursors.values() if not cursor.behind]
        self._acked = acked = min(places, default=None)
        if acked is None:
            self._free, self._free_end = sys.maxsize, sys.maxsize
        else:
            self._free = acked + self._bounds.window
            self._free_end = self._ring.end - self._ring.size(acked, self._ring.last) + self._bounds.window_bytes
