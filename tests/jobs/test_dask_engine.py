"""The engine on Dask: what is its own, and faults of a real cluster."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from databench import jobs
from databench.engines.choice import Engines
from databench.engines.dask_chunk import run_chunk
from databench.engines.names import parsed
from databench.errors import AnalysisError, ConfigError, JobError
from databench.jobs import JobScope
from databench.wire.chunks import Calls, Failure
from tests.jobs.clusters import DaskCluster


@pytest.fixture
def cluster() -> Iterator[DaskCluster]:
    """A cluster that may be broken, with Dask's own setting for workers that die."""
    cluster = DaskCluster(allowed_failures=3)
    yield cluster
    cluster.close()


@pytest.fixture
def engines() -> Iterator[Engines]:
    """Engines as a runner has them, without a bus."""
    engines = Engines("local")
    yield engines
    engines.close()


async def test_killed_workers_cost_no_result(cluster: DaskCluster, engines: Engines, chores: ModuleType) -> None:
    scope = JobScope(engines(cluster.address))
    killed, results = set(), []
    async for x in jobs.begin_map(scope, chores.napping_double, (range(200),), chunk=1, retries=0):
        results.append(x)
        if len(results) in (20, 60):
            _, pid = await jobs.begin_submit(scope, chores.where, ())
            killed.add(pid)
            await asyncio.to_thread(cluster.kill, pid)
    assert sorted(results) == list(range(0, 400, 2))
    assert len(killed) == 2


async def test_a_scheduler_that_is_started_again_gets_what_is_not_answered(
    cluster: DaskCluster, engines: Engines, chores: ModuleType
) -> None:
    engine = engines(cluster.address)
    results = []
    async for x in jobs.begin_map(JobScope(engine), chores.napping_double, (range(100),), chunk=1):
        results.append(x)
        if len(results) == 10:
            await asyncio.to_thread(cluster.restart)
    assert sorted(results) == list(range(0, 200, 2))


class Heard(logging.Handler):
    """Notes that something was logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""
        self.event = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage()
        self.event.set()


async def test_chunks_wait_for_a_scheduler_that_is_not_there_yet(engines: Engines, chores: ModuleType) -> None:
    heard, logger = Heard(), logging.getLogger("databench.jobs")
    logger.addHandler(heard)
    try:
        engine = engines("dask://127.0.0.1:1")
        job = jobs.begin_submit(JobScope(engine), chores.double, (1,))
        assert await asyncio.to_thread(heard.event.wait, 30)
    finally:
        logger.removeHandler(heard)
    assert "no Dask scheduler at tcp://127.0.0.1:1" in heard.text
    assert engine.capacity == 0
    job.cancel()
    with pytest.raises(JobError, match="cancelled"):
        await job


def test_a_module_that_workers_cannot_import_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABENCH_ANALYSES", raising=False)
    reason, _, payload = run_chunk("nowhere:f", Calls([[1]]).to_bytes(), 0.0)
    assert reason == "raised"
    assert "set DATABENCH_ANALYSES there" in Failure.from_bytes(payload).message


def test_a_chunk_that_takes_too_long_is_left_behind(chores: ModuleType) -> None:
    reason, _, payload = run_chunk("chores:nap", Calls([[5.0]]).to_bytes(), 0.01)
    assert (reason, Failure.from_bytes(payload).type) == ("timeout", "TimeoutError")
    assert run_chunk("chores:double", Calls([[2]]).to_bytes(), 20.0)[0] == "done"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("dask://head", "tcp://head:8786"),
        ("dask://10.0.0.1:9000/", "tcp://10.0.0.1:9000"),
        ("dask+tls://head.example.org", "tls://head.example.org:8786"),
        ("dask://[::1]:99", "tcp://[::1]:99"),
        ("bus", ""),
        ("local", ""),
    ],
)
def test_names_of_engines(name: str, address: str) -> None:
    assert parsed(name).address == address


@pytest.mark.parametrize(
    "name", ["", "Bus", "dask", "dask://", "dask://a:b", "dask://head:0", "dask://head:70000", "x"]
)
def test_other_names_are_refused_with_the_choices(name: str) -> None:
    with pytest.raises(ConfigError, match=r"choose bus .*, local .* or dask://HOST:8786"):
        parsed(name)


def test_without_its_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databench.engines.names.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'databench\[dask\]'"):
        Engines("dask://head")
    with pytest.raises(AnalysisError, match=r"pip install 'databench\[dask\]'"):
        Engines("local")("dask://head")


def test_engines_are_made_once_and_closed_together(tmp_path: Path) -> None:
    engines = Engines("local", slots=3)
    assert engines() is engines("local") is engines(None)
    assert engines().capacity == 3
    engines.close()
    with pytest.raises(AnalysisError, match="the process stops"):
        engines()
