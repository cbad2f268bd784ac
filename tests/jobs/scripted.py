"""An engine that answers as the test says, and knows what it was told."""

from typing import Any

from databench.engines.contract import Order, Sink
from databench.jobs import perform
from databench.wire.chunks import Failure, Results
from databench.wire.parts import Parts, Source, joined


class Scripted:
    """Keeps the orders until `answer` or `lose`; takes none after the end of a job."""

    capacity = 3

    def __init__(self) -> None:
        self.orders: list[tuple[Order, Source, Sink]] = []
        self.answered: list[tuple[Order, Source, Sink]] = []
        self.cancelled: list[str] = []

    def hold(self, task: str, parts: Parts) -> bytes:
        """Return the payload in one piece."""
        return joined(parts)

    def submit(self, order: Order, payload: Source, sink: Sink) -> None:
        """Keep the chunk."""
        assert not self.cancelled, "a chunk after the end of its job"
        self.orders.append((order, payload, sink))

    def cancel(self, job: str) -> None:
        """Note it."""
        self.cancelled.append(job)

    def answer(self, index: int) -> None:
        """Run a chunk and answer it."""
        order, payload, sink = self.orders.pop(index)
        self.answered.append((order, payload, sink))
        ran = perform(order.task, payload)
        (sink.failed if ran.failed else sink.done)(order.chunk, *self._what(ran))

    @staticmethod
    def _what(ran: Any) -> tuple[Any, bytes]:
        return ("raised" if ran.failed else 0.01), ran.payload

    def repeat(self, index: int) -> None:
        """Answer a chunk once more, and one that never was."""
        order, _, sink = self.answered[index]
        sink.done(order.chunk, 0.0, Results([0]).to_bytes())
        sink.failed(order.chunk, "lost", b"")
        sink.done(10**6, 0.0, b"")

    def lose(self, index: int) -> None:
        """Have a chunk fail since its slot was killed."""
        order, payload, sink = self.orders.pop(index)
        self.answered.append((order, payload, sink))
        sink.failed(order.chunk, "lost", Failure(None, "Lost", "its slot was killed", "").to_bytes())
