"""Frames for a browser as tests compare them: the signals of a run one by one."""

from collections.abc import Iterator

from databench.wire import codec
from databench.wire.messages import TO_BROWSER, Broadcasts, Message, Signals


def decoded(frame: bytes) -> list[Message]:
    """Return the messages of a frame, each with one payload at most."""
    return [part for message in codec.decode(frame, TO_BROWSER) for part in _apart(message)]


def _apart(message: Message) -> Iterator[Message]:
    match message:
        case Signals(first, name, payloads) | Broadcasts(first, name, payloads):
            for number, payload in enumerate(payloads, first):
                yield type(message)(number, name, [payload])
        case _:
            yield message
