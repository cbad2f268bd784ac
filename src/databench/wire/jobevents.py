"""What the job table is told (events) and what it orders (instructions): names and fields, no logic."""

from databench.wire.records import record


@record
class WorkerJoined:
    """A worker is here, with nothing to do yet; one of that name that was here before is gone."""

    worker: bytes
    slots: int


@record
class SlotsChanged:
    """A worker has another number of usable slots."""

    worker: bytes
    slots: int


@record
class WorkerLeft:
    """A worker takes nothing new and finishes what it has."""

    worker: bytes


@record
class WorkerGone:
    """A worker is lost, and with it the chunks it has."""

    worker: bytes
    reason: str


@record
class Due:
    """The time has come that the table named."""


@record
class ClientGone:
    """Nobody waits for this client's jobs any more."""

    client: bytes


@record
class Submitted:
    """A client wants a chunk to be run."""

    client: bytes
    job: str
    chunk: int
    task: str
    payload: bytes
    retries: int = 2
    timeout: float = 0.0
    group: str = ""
    priority: int = 0


@record
class JobCancelled:
    """A client wants nothing more of a job."""

    client: bytes
    job: str


@record
class ChunkDone:
    """A worker has the results of a chunk."""

    worker: bytes
    job: str
    chunk: int
    seconds: float
    payload: bytes


@record
class ChunkFailed:
    """A chunk failed in a way that would repeat itself: its task raised, or it took longer than it may."""

    worker: bytes
    job: str
    chunk: int
    reason: str
    payload: bytes


@record
class ChunkLost:
    """The slot that ran a chunk ended."""

    worker: bytes
    job: str
    chunk: int
    reason: str


@record
class ChunkReturned:
    """A worker gives a chunk back that it did not begin, or does not finish since it stops."""

    worker: bytes
    job: str
    chunk: int


Event = (
    WorkerJoined
    | SlotsChanged
    | WorkerLeft
    | WorkerGone
    | ClientGone
    | Submitted
    | JobCancelled
    | ChunkDone
    | ChunkFailed
    | ChunkLost
    | ChunkReturned
    | Due
)


@record
class Assign:
    """Have a worker run a chunk, for at most `timeout` seconds (0: no limit)."""

    worker: bytes
    job: str
    chunk: int
    task: str
    timeout: float
    payload: bytes


@record
class Drop:
    """Have a worker end a chunk, whose result nobody wants."""

    worker: bytes
    job: str
    chunk: int


@record
class Deliver:
    """Give a client the results of a chunk."""

    client: bytes
    job: str
    chunk: int
    seconds: float
    payload: bytes


@record
class Fail:
    """Tell a client that a chunk failed."""

    client: bytes
    job: str
    chunk: int
    reason: str
    payload: bytes


@record
class CapacityChanged:
    """Tell all clients how many slots there are."""

    slots: int


Instruction = Assign | Drop | Deliver | Fail | CapacityChanged
