"""Sessions that are opened and abandoned: what they needed is free again."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from databench.testing import Page
from tests.chaos.cluster import Cluster
from tests.chaos.memory import used
from tests.e2e.server import START

log = logging.getLogger(__name__)

SESSIONS = 500
AT_ONCE = 50
"""Connections that are made at the same time."""
SIGNALS, SIZE = 2, 50_000
"""What each has in its log: 48 MiB in all."""
ROUNDS = 2
SPARE = {"runner-1": 30.0, "gateway-1": 10.0}
"""MiB that a fresh process may grow by for good with its first sessions: threads, and what the allocator keeps."""
TOLERANCE = {"runner-1": 20.0, "gateway-1": 10.0}
"""MiB that twice as many more may add to that, of 96 in their logs."""


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Fresh processes."""
    with Cluster(tmp_path_factory.mktemp("bus"), "broker", "gateway-1", "runner-1") as running:
        yield running


async def open_and_abandon(url: str) -> str | None:
    """Begin a session with something in its log and its state, and lose the connection."""
    page = Page(url, "brief")
    await page.attach()
    await page.emit("burst", {"count": SIGNALS, "size": SIZE})
    await page.set("key", "value")
    await page.receive("end")
    page.drop()
    return page.token


async def abandon_many(url: str, watching: Page) -> None:
    """Open and abandon sessions; return when each of them is over, and told so once."""
    tokens: list[str | None] = []
    for _ in range(SESSIONS // AT_ONCE):
        tokens += await asyncio.gather(*(open_and_abandon(url) for _ in range(AT_ONCE)))
    await watching.until(lambda: sum(signal.name == "left" for signal in watching.log) >= SESSIONS)
    assert sorted(signal.payload for signal in watching.log) == sorted(map(str, tokens))
    watching.log.clear()


async def test_500_abandoned_sessions_end_one_by_one_and_leave_nothing_behind(cluster: Cluster) -> None:
    # For 1,500 connections that is too slow; it finds here what it finds elsewhere.
    asyncio.get_running_loop().set_debug(False)
    url = cluster.url("gateway-1")
    processes = {name: cluster.process(name) for name in SPARE}

    def growth(before: dict[str, float]) -> dict[str, float]:
        return {name: used(process) - before[name] for name, process in processes.items()}

    async def sessions() -> int:
        """Return how many there are in memory. What is left of ended ones is freed by Python's collector, which comes
        by first: some hundred may wait for it."""
        await watching.emit("census")
        return int((await watching.receive("census")).payload)

    async def settle(before: dict[str, float], most: dict[str, float]) -> dict[str, float]:
        log.info("growth in MiB, just after: %s", growth(before))
        # Memory comes back a moment after the sessions are over.
        async with asyncio.timeout(START):
            while await sessions() > 1 or not all(growth(before)[name] < most[name] for name in most):
                pass
        watching.log.clear()
        log.info("growth in MiB, then: %s", growth(before))
        return growth(dict.fromkeys(SPARE, 0.0))

    async with Page(url, "brief") as watching:
        await watching.receive("hello")
        watching.log.clear()
        fresh = growth(dict.fromkeys(SPARE, 0.0))
        await abandon_many(url, watching)
        warm = await settle(fresh, SPARE)
        for _ in range(ROUNDS):
            await abandon_many(url, watching)
        await settle(warm, TOLERANCE)
