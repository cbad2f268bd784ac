"""The analyses of the gallery that compute by other queues, with the real servers and workers of these."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest
from celery import Celery
from redis import Redis
from rq import Queue
from rq.job import Job
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer

from databench.bus.address import free_ports
from databench.testing import Page
from tests.e2e.queues import (
    CELERY_WORKER,
    NOWHERE,
    ROOT,
    RQ_WORKER,
    NotInstalledError,
    Queues,
    redis_server,
    worker,
)
from tests.e2e.server import START, Server, eventually

ANALYSES = ROOT / "analyses"
FAILING = """
from celery import Celery

app = Celery(backend="rpc://")
app.conf.task_default_queue = "celerypi"


@app.task(name="celerypi.walk")
def walk(walks, steps, seed):
    raise ValueError("lost the way")
"""


@pytest.fixture(scope="module")
def gallery(queues: Queues) -> Iterator[Server]:
    """The gallery, with both queues."""
    with Server(ANALYSES, "--no-reload", environment=queues.environment) as running:
        yield running
    assert running.output.count("Traceback") == running.output.count("ValueError: lost the way"), running.output


@pytest.fixture
def rqpi(queues: Queues) -> Iterator[Queue]:
    """The queue of the workers of RQ."""
    with Redis.from_url(queues.environment["RQ_REDIS_URL"]) as connection:
        yield Queue("rqpi", connection=connection, serializer=JSONSerializer)


@pytest.fixture
def celery(queues: Queues) -> Celery:
    """A client of Celery that asks its workers."""
    return Celery(broker=queues.environment["CELERY_BROKER_URL"], set_as_current=False)


async def finished(page: Page) -> None:
    """Wait until a run has all its results."""
    await page.until(lambda: page.state.get("of", 0) > 0 and page.state["done"] == page.state["of"], within=45)


async def cancel(page: Page) -> None:
    """Cancel a run that is at work, and wait until it has stopped."""
    await page.until(lambda: "handling:run" in page.known)
    await page.emit("cancel", "run")
    await page.until(lambda: "handling:run" not in page.known)


def listed(server: Server) -> set[str]:
    """Return the names of the analyses on the index page."""
    return set(re.findall(r'href="/(\w+)/"', httpx.get(server.url).text))


def running_jobs(queue: Queue) -> list[Job]:
    """Return the jobs that run; those that a worker has only just taken are not among them."""
    names = StartedJobRegistry(queue=queue).get_job_ids(cleanup=False)
    jobs = Job.fetch_many(names, queue.connection, serializer=JSONSerializer)
    return [job for job in jobs if job is not None and job.is_started]


def frozen_job(rq: psutil.Process, queue: Queue) -> psutil.Process | None:
    """Suspend a process of RQ's worker in the middle of a job."""
    for child in Path(f"/proc/{rq.pid}/task/{rq.pid}/children").read_text().split():
        try:
            horse = psutil.Process(int(child))
            horse.suspend()
            # RQ ends it with its group, which at the very beginning is still the worker's.
            if os.getpgid(horse.pid) == horse.pid and running_jobs(queue):
                return horse
            horse.resume()
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return None


def accepted(celery: Celery) -> int:
    """Return how many tasks the processes of Celery's worker have begun so far."""
    stats = celery.control.inspect(timeout=START, limit=1).stats()  # returns with the first answer
    return sum(each["total"].get("celerypi.walk", 0) for each in stats.values())


async def freeze_a_task(page: Page, celery: Celery, before: int, processes: list[psutil.Process]) -> None:
    """Suspend the processes of Celery's worker, one of them in the middle of a task.

    A process tells the result of a task itself, and the worker later that it is done with it.
    """
    while True:
        for process in processes:
            process.suspend()
        begun = accepted(celery) - before
        await page.set("begun", begun)
        await page.until(partial(lambda begun: page.state.get("begun") == begun, begun))
        if page.state["done"] < begun:
            return
        assert begun < page.state["of"], "the run is over"
        for process in processes:
            process.resume()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_where_the_servers_are_the_analyses_are_on_the_index_page(gallery: Server) -> None:
    assert {"rqpi", "celerypi"} <= listed(gallery)


@pytest.mark.parametrize("command", [RQ_WORKER, CELERY_WORKER])
def test_the_documents_say_how_workers_are_started(command: str) -> None:
    assert command in (ROOT / "docs/engines.md").read_text()


async def test_jobs_of_redis_queue_come_back_one_by_one(gallery: Server) -> None:
    async with Page(gallery.url, "rqpi") as page:
        await page.emit("run")
        await finished(page)
        estimates = [each.payload for each in page.log if each.name == "estimates"]
    assert [len(each["pi"]) for each in estimates] == [250] * 40
    assert all(each["worker"] for each in estimates)
    assert page.state["drawn"] == 10_000
    assert 2.7 < page.state["low"] < page.state["pi"] < page.state["high"] < 3.6


async def test_a_cancelled_run_leaves_no_job_of_redis_queue_behind(
    gallery: Server, queues: Queues, rqpi: Queue
) -> None:
    async with Page(gallery.url, "rqpi") as page:
        await page.emit("run")
        await page.receive("estimates")
        while (job := frozen_job(queues.rq, rqpi)) is None:
            if not rqpi.count:
                await page.emit("run")
                await page.receive("estimates")
        assert rqpi.count > 0
        await cancel(page)
        assert rqpi.count == 0
        eventually(lambda: gone(job))
        eventually(lambda: running_jobs(rqpi) == [])
        assert page.state["done"] < page.state["of"]
        await page.emit("run")
        await finished(page)


async def test_the_jobs_of_a_page_that_is_closed_are_taken_back(gallery: Server, queues: Queues, rqpi: Queue) -> None:
    queues.rq.suspend()
    try:
        async with Page(gallery.url, "rqpi") as page:
            await page.emit("run")
            eventually(lambda: rqpi.count > 0)
        eventually(lambda: rqpi.count == 0)
    finally:
        queues.rq.resume()


async def test_tasks_of_celery_come_back_one_by_one(gallery: Server) -> None:
    async with Page(gallery.url, "celerypi") as page:
        await page.emit("run")
        await finished(page)
        paths = [each.payload for each in page.log if each.name == "path"]
    assert [path.shape for path in paths] == [(100, 2)] * 100
    assert page.state["walks"] == 50_000
    assert 3.05 < page.state["pi"] < 3.23


async def test_a_cancelled_run_ends_the_tasks_of_celery(gallery: Server, queues: Queues, celery: Celery) -> None:
    processes = queues.celery.children()
    before = accepted(celery)
    async with Page(gallery.url, "celerypi") as page:
        await page.emit("run")
        await page.receive("path")
        try:
            await freeze_a_task(page, celery, before, processes)
            await cancel(page)
            eventually(lambda: any(gone(process) for process in processes))
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()
        assert page.state["done"] < page.state["of"]
        await page.emit("run")
        await finished(page)
    assert "Discarding revoked task" in queues.celery_log.read_text()


async def test_what_a_task_of_celery_raises_is_told(gallery: Server, queues: Queues, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    command = "celery --app failing worker --loglevel info --pool solo --hostname failing@%h"
    with worker(command, tmp_path / "failing.log", queues.environment, folder=tmp_path):
        eventually(lambda: "ready" in (tmp_path / "failing.log").read_text())
        async with Page(gallery.url, "celerypi") as page:
            await page.emit("run")
            error = (await page.receive("error", within=45)).payload
    assert (error["type"], error["message"]) == ("ValueError", "lost the way")


async def test_without_a_server_the_page_is_hidden_and_says_what_to_start_and_works_when_that_is_there(
    tmp_path: Path,
) -> None:
    port = free_ports()
    environment = {**NOWHERE, "RQ_REDIS_URL": f"redis://127.0.0.1:{port}"}
    with Server(ANALYSES, "--no-reload", environment=environment) as server:
        assert {"poolpi", "rqpi", "celerypi"} & listed(server) == {"poolpi"}
        async with Page(server.url, "celerypi") as page:
            await page.emit("run")
            await page.until(lambda: "No RabbitMQ answers at amqp://" in page.state.get("missing", ""))
        async with Page(server.url, "rqpi") as page:
            await page.emit("run")
            await page.until(lambda: f"No Redis answers at redis://127.0.0.1:{port}" in page.state.get("missing", ""))
            try:
                with redis_server(tmp_path, port):
                    await page.emit("run")
                    await page.until(lambda: page.state["missing"].endswith(f"start: {RQ_WORKER}"))
                    with worker("rq worker --serializer json rqpi", tmp_path / "a.log", environment, folder=tmp_path):
                        error = (await page.receive("error", within=45)).payload
                        assert (
                            "a job failed: ValueError: Invalid attribute name: analyses.rqpi.jobs.resample"
                            in error["message"]
                        )
                    with worker(RQ_WORKER, tmp_path / "b.log", environment):
                        await page.emit("run")
                        await finished(page)
                    assert page.state["missing"] == ""
            except NotInstalledError as error:
                pytest.skip(str(error))
