"""The broadcasts of one analysis: numbered, joined for all viewers at once, and kept for those who come back.

Pure: no clock, no locks, no sockets.
"""

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import Broadcasts, Missed
from databench.wire.ring import Bounds, Ring

BOUNDS = Bounds(window=4_096, kept=16_384, kept_bytes=4 * 2**20, window_bytes=2**20)
"""`window`: what may be waiting to be published."""


class BroadcastLog:
    """Broadcasts, from the oldest that is kept to the newest.

    >>> log = BroadcastLog()
    >>> log.append("news", b"\\xc0")
    1
    >>> frame = log.take()
    >>> log.published, log.catch_up(0) == [frame]
    (1, True)
    """

    def __init__(self, bounds: Bounds = BOUNDS) -> None:
        self._bounds = bounds
        self._ring = Ring(bounds)
        self.published = 0
        """The number of the last one that was published."""

    @property
    def room(self) -> bool:
        """Whether one more may wait to be published."""
        waiting = self._ring.last - self.published
        return waiting < self._bounds.window and (
            not waiting or self._ring.size(self._start(), self._ring.last) < self._bounds.window_bytes
        )

    def append(self, name: str, payload: bytes) -> int:
        """Add a broadcast and return its number."""
        return self._ring.append(name, payload)

    def take(self) -> bytes:
        """Return the next frame to publish; nothing when everything is published."""
        start = self._start()
        if start == self._ring.last:
            return b""
        self.published = max(self._ring.reach(start, self._bounds.frame), start + 1)
        return self._frame(start, self.published)

    def catch_up(self, heard: int) -> list[bytes]:
        """Return frames with the published ones that a viewer has yet to get which heard those up to `heard`.

        Of what is not kept any more it is told how much it missed. Raises RemoteProtocolError for a number
        that was never published.
        """
        if heard > self.published:
            raise RemoteProtocolError(f"broadcast {heard} was never sent, the last one is {self.published}")
        frames: list[bytes] = []
        at = min(max(heard, self._ring.first - 1), self.published)
        if at > heard:
            frames.append(codec.encode(Missed(at, at - heard)))
        while at < self.published:
            until = min(max(self._ring.reach(at, self._bounds.frame), at + 1), self.published)
            frames.append(self._frame(at, until))
            at = until
        return frames

    def _frame(self, after: int, until: int) -> bytes:
        return codec.encode_runs(Broadcasts, after + 1, *self._ring.slice(after, until))

    def _start(self) -> int:
        return max(self.published, self._ring.first - 1)
