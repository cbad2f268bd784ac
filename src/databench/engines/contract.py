"""What a job may expect of an engine, whatever runs its chunks: the types, and nothing that runs anything."""

from typing import NamedTuple, Protocol

from databench.wire.parts import Parts, Source


class Order(NamedTuple):
    """One chunk to run, and how."""

    job: str
    group: str
    """Those who share: the session that the job belongs to."""
    chunk: int
    task: str
    retries: int = 2
    """How often the chunk runs again where its slot is lost."""
    timeout: float = 0.0
    """Seconds that the chunk may take in its slot; 0 for no limit."""
    priority: int = 0
    """Among the jobs of its group: higher first."""


class Sink(Protocol):
    """The job's side: takes the answers. Called from any thread; must be quick and must not raise.

    Each chunk is answered once: an engine drops doubled answers, and those of cancelled jobs.
    """

    def done(self, chunk: int, seconds: float, payload: Source) -> None:
        """Take the results of a chunk, which spent `seconds` in the task."""

    def failed(self, chunk: int, reason: str, payload: bytes) -> None:
        """Learn that a chunk failed: `raised`, `lost`, `refused` or `timeout`; the payload is a `Failure`."""


class Engine(Protocol):
    """Runs chunks. Every method may be called from any thread and returns at once."""

    @property
    def capacity(self) -> int:
        """Usable slots now; 0 while there are none, and chunks wait for some."""

    def hold(self, task: str, parts: Parts) -> Source:
        """Return the calls of a chunk as `submit` takes them: copied, so what their arrays hold later is not seen."""

    def submit(self, order: Order, payload: Source, sink: Sink) -> None:
        """Have a chunk run, again up to `retries` times where its slot is lost; `sink` gets the answer."""

    def cancel(self, job: str) -> None:
        """Forget all chunks of a job and end those that run, as far as the engine can.

        Taken when it returns: the order to cancel comes after all that was submitted before.
        """
