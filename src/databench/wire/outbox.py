"""What waits to be sent on the chunk plane: messages for the same receiver travel together.

Owns which payloads travel inside their message and where a frame ends. Knows nothing of what messages mean.
"""

from databench.errors import RemoteProtocolError
from databench.wire import codec
from databench.wire.messages import Message, Vocabulary

INLINE = 16 * 2**10
"""Bytes of the largest payload that travels inside its message; a larger one is a frame of its own."""
JOINED = 64 * 2**10
"""Bytes up to which messages are joined to one frame."""

Outgoing = tuple[bytes, bytes, bytes]
"""Receiver, envelopes, and the payload of the last envelope where that is large."""


def inline(payload: bytes) -> bytes | None:
    """Return what the `payload` field of a message holds: None where the payload is to be a frame of its own."""
    return payload if len(payload) <= INLINE else None


def read(envelope: bytes, frame: bytes, vocabulary: Vocabulary) -> list[tuple[Message, bytes]]:
    """Return the messages that travelled together, each with its payload (empty for those that have none).

    Raises RemoteProtocolError where they do not decode.
    """
    messages = codec.decode(envelope, vocabulary)
    last = len(messages) - 1
    pairs: list[tuple[Message, bytes]] = []
    for index, message in enumerate(messages):
        payload = getattr(message, "payload", b"")
        if payload is None:
            if index != last:
                raise RemoteProtocolError(f"{message.tag!r} has no payload, and is not the last of its frame")
            payload = frame
        pairs.append((message, payload))
    return pairs


class Outbox:
    """Messages that wait, in order for each receiver.

    >>> from databench.wire.messages import Beat, Cancel
    >>> outbox = Outbox()
    >>> outbox.add(b"w", Beat())
    >>> outbox.add(b"w", Cancel("j"))
    >>> [(receiver, envelopes, payload)] = outbox.take()
    >>> envelopes == codec.encode(Beat(), Cancel("j"))
    True
    """

    def __init__(self) -> None:
        self._closed: list[Outgoing] = []
        self._open: dict[bytes, list[bytes]] = {}
        self._sizes: dict[bytes, int] = {}

    def __bool__(self) -> bool:
        return bool(self._closed or self._open)

    def add(self, receiver: bytes, message: Message, payload: bytes = b"") -> None:
        """Have a message sent; `payload` is what belongs to one whose `payload` field may be None."""
        self.pass_on(receiver, codec.encode(message), payload if getattr(message, "payload", b"") is None else b"")

    def pass_on(self, receiver: bytes, envelope: bytes, payload: bytes = b"") -> None:
        """Have a message sent that is encoded already; `payload` is its second frame, if it has one."""
        parts = self._open.setdefault(receiver, [])
        parts.append(envelope)
        size = self._sizes[receiver] = self._sizes.get(receiver, 0) + len(envelope)
        if payload or size >= JOINED:
            self._close(receiver, payload)

    def take(self) -> list[Outgoing]:
        """Return what is to be sent now; the outbox is empty afterwards."""
        for receiver in list(self._open):
            self._close(receiver, b"")
        taken, self._closed = self._closed, []
        return taken

    def _close(self, receiver: bytes, payload: bytes) -> None:
        self._closed.append((receiver, b"".join(self._open.pop(receiver)), payload))
        del self._sizes[receiver]
