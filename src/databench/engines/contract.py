"""What a job may expect of an engine, whatever runs its chunks: the types, and nothing that runs anything."""

from typing import Protocol


class Sink(Protocol):
    """The job's side: takes the answers. Called from any thread; must be quick and must not raise.

    Each chunk is answered once: an engine drops doubled answers, and those of cancelled jobs.
    """

    def done(self, chunk: int, seconds: float, payload: bytes) -> None:
        """Take the results of a chunk, which spent `seconds` in the task."""

    def failed(self, chunk: int, reason: str, payload: bytes) -> None:
        """Learn that a chunk failed: `raised`, `lost` or `refused`; the payload is a `Failure`."""


class Engine(Protocol):
    """Runs chunks. Every method may be called from any thread and returns at once."""

    @property
    def capacity(self) -> int:
        """Usable slots now; 0 while there are none, and chunks wait for some."""

    def submit(self, job: str, chunk: int, task: str, retries: int, payload: bytes, sink: Sink) -> None:
        """Have a chunk run, again up to `retries` times where its slot is lost; `sink` gets the answer."""

    def cancel(self, job: str) -> None:
        """Forget all chunks of a job and end those that run, as far as the engine can."""
