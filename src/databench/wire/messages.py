"""The vocabulary of docs/protocol.md: one record per message, and who may say what to whom.

Owns names, fields and their types. Knows nothing of bytes (codec), of order (log) or of sockets.
"""

from typing import ClassVar

from databench.wire.records import record

PROTOCOL_VERSION = 1
SUBPROTOCOL = f"databench.{PROTOCOL_VERSION}"
NAME_LIMIT = 200
"""Longest name of a signal or an analysis, in characters."""
PAGE_LIMIT = 64
"""Longest name of a page, in characters."""
HELD = 1_024
"""Signals that a page holds back until the session has accepted them."""
HELD_BYTES = 64 * 2**20
"""Bytes of their payloads; one that is larger may be alone."""


@record
class Message:
    """The base of all messages; `tag` is the first element on the wire."""

    tag: ClassVar[str] = ""
    __match_args__: ClassVar[tuple[str, ...]] = ()


# Browser and gateway, section 2


@record
class Attach(Message):
    """First message of a page: a new session (no token), or an older one from `seen` and `heard` on."""

    tag: ClassVar[str] = "attach"
    token: str | None
    page: str
    seen: int
    heard: int


@record
class Attached(Message):
    """Answer to Attach: the highest number accepted from this page, the last broadcast that counts as heard."""

    tag: ClassVar[str] = "attached"
    token: str
    resumed: bool
    received: int
    heard: int


@record
class Signal(Message):
    """A numbered signal of a page; the payload stays encoded until its handler needs it."""

    tag: ClassVar[str] = "signal"
    seq: int
    name: str
    payload: bytes


@record
class Signals(Message):
    """What a session emitted in a row under one name: `seq` is the number of the first."""

    tag: ClassVar[str] = "signals"
    seq: int
    name: str
    payloads: list[bytes]


@record
class Ack(Message):
    """A page handled all signals up to `seq`, and the state messages of this connection up to `state`."""

    tag: ClassVar[str] = "ack"
    seq: int
    state: int


@record
class Accepted(Message):
    """All signals of this page up to `seq` were accepted."""

    tag: ClassVar[str] = "accepted"
    seq: int


@record
class Gap(Message):
    """`count` signals are lost for this viewer; the next one has the number `seq + 1`."""

    tag: ClassVar[str] = "gap"
    seq: int
    count: int


@record
class StateChange(Message):
    """The newest values of what changed; `whole` says that nothing else exists."""

    tag: ClassVar[str] = "state"
    number: int
    whole: bool
    changes: bytes


@record
class Broadcasts(Message):
    """What went to all pages of the analysis in a row under one name: `number` is that of the first, within it."""

    tag: ClassVar[str] = "broadcasts"
    number: int
    name: str
    payloads: list[bytes]


@record
class Missed(Message):
    """`count` broadcasts are lost for this viewer; the next one has the number `number + 1`."""

    tag: ClassVar[str] = "missed"
    number: int
    count: int


@record
class Ended(Message):
    """The session is over; `reason` is for people."""

    tag: ClassVar[str] = "ended"
    reason: str


@record
class Reload(Message):
    """Development: load the page again."""

    tag: ClassVar[str] = "reload"
    reason: str


# The bus, signal plane, section 3


@record
class Opened(Message):
    """A browser attached to an analysis; the body is its Attach."""

    tag: ClassVar[str] = "opened"
    gateway: str
    viewer: str
    analysis: str


@record
class Relayed(Message):
    """The body is a frame of Signal and Ack messages of this viewer."""

    tag: ClassVar[str] = "relayed"
    gateway: str
    viewer: str


@record
class Closed(Message):
    """The viewer's connection is gone; `done` when the page said that it will not come back."""

    tag: ClassVar[str] = "closed"
    gateway: str
    viewer: str
    done: bool


@record
class Present(Message):
    """A service is here; `life` changes with every start, `detail` depends on `kind`."""

    tag: ClassVar[str] = "present"
    kind: str
    name: str
    life: str
    detail: bytes


@record
class Who(Message):
    """Everybody answers with Present."""

    tag: ClassVar[str] = "who"


@record
class Leaving(Message):
    """A service stops."""

    tag: ClassVar[str] = "leaving"
    kind: str
    name: str
    life: str


@record
class Gone(Message):
    """The broker lost a service's connection: it is gone, unless it says that it is present."""

    tag: ClassVar[str] = "gone"
    kind: str
    name: str
    life: str


# The bus, chunk plane, section 4. A `payload` that is None is the second frame of its message.


@record
class Join(Message):
    """First message of a runner or a worker to the broker."""

    tag: ClassVar[str] = "join"
    kind: str
    name: str
    version: int
    slots: int


@record
class Joined(Message):
    """The broker's answer; `broker` changes with every start of the broker."""

    tag: ClassVar[str] = "joined"
    broker: str


@record
class Refused(Message):
    """The broker does not accept what was sent."""

    tag: ClassVar[str] = "refused"
    reason: str


@record
class Unknown(Message):
    """The broker does not know the sender (any more): join again."""

    tag: ClassVar[str] = "unknown"


@record
class Beat(Message):
    """Twice a second: the sender lives."""

    tag: ClassVar[str] = "beat"


@record
class Submit(Message):
    """A chunk to run. `rank` is its job's priority, folded (`codec.fold`); the payload holds its items."""

    tag: ClassVar[str] = "submit"
    job: str
    chunk: int
    task: str
    retries: int
    timeout: float
    group: str
    rank: int
    payload: bytes | None


@record
class Cancel(Message):
    """Nothing of this job is wanted any more."""

    tag: ClassVar[str] = "cancel"
    job: str


@record
class Capacity(Message):
    """Usable slots of all workers together."""

    tag: ClassVar[str] = "capacity"
    slots: int


@record
class Run(Message):
    """Run this chunk, for at most `timeout` seconds (0: no limit); the payload holds its items."""

    tag: ClassVar[str] = "run"
    job: str
    chunk: int
    task: str
    timeout: float
    payload: bytes | None


@record
class Drop(Message):
    """End this chunk; its result is not wanted."""

    tag: ClassVar[str] = "drop"
    job: str
    chunk: int


@record
class Done(Message):
    """A chunk is finished after `seconds` in the task; the payload holds its results."""

    tag: ClassVar[str] = "done"
    job: str
    chunk: int
    seconds: float
    payload: bytes | None


@record
class Failed(Message):
    """A chunk failed: `raised`, `lost` with its slots, `refused`, or over its `timeout`; the payload tells more."""

    tag: ClassVar[str] = "failed"
    job: str
    chunk: int
    reason: str
    payload: bytes | None


@record
class Lost(Message):
    """The slot that ran the chunk is gone; `reason` says how it ended."""

    tag: ClassVar[str] = "lost"
    job: str
    chunk: int
    reason: str


@record
class Returned(Message):
    """The chunk was not begun, or not finished by a worker that stops: it is free to run elsewhere."""

    tag: ClassVar[str] = "returned"
    job: str
    chunk: int


@record
class Slots(Message):
    """Usable slots of this worker now."""

    tag: ClassVar[str] = "slots"
    slots: int


@record
class Leave(Message):
    """Send nothing more; what runs is finished."""

    tag: ClassVar[str] = "leave"


Vocabulary = tuple[type[Message], ...]

FROM_BROWSER: Vocabulary = (Attach, Signal, Ack)
TO_BROWSER: Vocabulary = (Attached, Signals, Accepted, Gap, StateChange, Broadcasts, Missed, Ended, Reload)
SIGNAL_PLANE: Vocabulary = (Opened, Relayed, Closed, Present, Who, Leaving, Gone)
TO_BROKER: Vocabulary = (
    Join,
    Beat,
    Leave,
    Submit,
    Cancel,
    Done,
    Failed,
    Lost,
    Returned,
    Slots,
)
FROM_BROKER: Vocabulary = (Joined, Refused, Unknown, Capacity, Run, Drop, Done, Failed)
