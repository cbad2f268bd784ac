"""Broadcasts as an analysis makes them: from any thread, encoded once, published soon and together.

Owns the waiting where too much is to be published. Who gets it is the runner's business.
"""

import threading
from collections.abc import Callable

from databench.errors import AnalysisError
from databench.flushing import Flushing
from databench.wire import codec
from databench.wire.broadcasts import BroadcastLog
from databench.wire.messages import NAME_LIMIT


class Broadcasts:
    """The broadcasts of one analysis."""

    def __init__(self, analysis: str) -> None:
        self._analysis = analysis
        self._log = BroadcastLog()
        self._room = threading.Condition()
        self._flushing: Flushing | None = None
        self._publish: Callable[[bytes], None] = _nobody
        self._max_payload = codec.MAX_PAYLOAD

    def open(self, publish: Callable[[bytes], None], max_payload: int = codec.MAX_PAYLOAD) -> None:
        """Begin to publish, on the event loop that runs here: `publish` takes each frame."""
        self._publish = publish
        self._max_payload = max_payload
        self._flushing = Flushing(self._flush)

    def close(self) -> None:
        """Publish nothing more; who waits goes on."""
        self._flush()
        with self._room:
            self._flushing = None
            self._room.notify_all()

    def send(self, signal: str, payload: object) -> None:
        """Take a broadcast; waits in a thread while too many are to be published.

        Raises AnalysisError for a name that is none, and where no page could hear it.
        """
        if not isinstance(signal, str) or not 0 < len(signal) <= NAME_LIMIT:
            raise AnalysisError(f"a signal's name is a string of 1 to {NAME_LIMIT} characters, not {signal!r}")
        data = codec.pack(payload, limit=self._max_payload)
        flushing = self._flushing
        if flushing is None:
            raise AnalysisError(
                f"broadcast({signal!r}) reaches nobody here: only the runner of {self._analysis!r} has its pages, "
                "while it runs; a task returns its result instead"
            )
        with self._room:
            if not flushing.here():
                self._room.wait_for(lambda: self._log.room or self._flushing is None)
            self._log.append(signal, data)
        flushing.ask()

    @property
    def published(self) -> int:
        """The number of the last one that was published."""
        return self._log.published

    def catch_up(self, heard: int) -> list[bytes]:
        """Return frames with what a viewer that heard those up to `heard` has yet to get of what is published.

        Raises RemoteProtocolError for a number that was never published.
        """
        with self._room:
            return self._log.catch_up(heard)

    def _flush(self) -> None:
        if self._flushing is None:
            return
        self._flushing.begun()
        while True:
            with self._room:
                frame = self._log.take()
                self._room.notify_all()
            if not frame:
                return
            self._publish(frame)


def _nobody(frame: bytes) -> None:
    """Nobody hears a frame before `open`."""
