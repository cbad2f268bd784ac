"""Short forms of what the tests of the job table say again and again."""

from databench.wire.jobevents import Assign, Event, Submitted
from databench.wire.jobtable import JobTable


def submitted(
    chunk: int, job: str = "j", client: bytes = b"c", retries: int = 2, group: str = "", priority: int = 0
) -> Submitted:
    return Submitted(client, job, chunk, f"m:{job}", b"items", retries, 0.0, group, priority)


def assigned(chunk: int, worker: bytes = b"w", job: str = "j") -> Assign:
    return Assign(worker, job, chunk, f"m:{job}", 0.0, b"items")


def after(*events: Event, limit: int = 100) -> JobTable:
    table = JobTable(limit)
    for event in events:
        table.handle(event, 0.0)
    return table
