"""For all tests: a live analysis, and where continuous integration runs them, a test that is skipped has failed."""

import asyncio
import os
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

import databench
from tests.author import Live, declared, living
from tests.clock import Clock

CI = os.environ.get("CI", "").lower() not in ("", "0", "false")

# How long an example takes says nothing on a busy machine.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=CI)
settings.load_profile("untimed")


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if CI and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and CI skips nothing: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped module into a failed one."""
    report = yield
    _refuse_skip(report)
    return report


@pytest.fixture
async def clock() -> AsyncIterator[Clock]:
    """The time of the test's event loop, which stands still from now on."""
    clock = Clock(asyncio.get_running_loop())
    yield clock
    clock.go_on()


@pytest.fixture
def pi() -> Iterator[databench.Analysis]:
    """An analysis for one test."""
    with declared("handled") as analysis:
        yield analysis


@pytest.fixture
async def live(pi: databench.Analysis) -> AsyncIterator[Live]:
    """Its session, with a page that looks at it."""
    async with living(pi) as live:
        yield live
