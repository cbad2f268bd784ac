"""A viewer that stops reading: it falls behind alone, and costs no more memory than the bounds say."""

import logging
import os
import signal
from collections.abc import Iterator

import pytest

from databench.testing import Page
from databench.wire.log import BOUNDS
from databench_gateway.bridge import BACKLOG
from tests.chaos.cluster import Cluster
from tests.chaos.memory import MIB, peaks
from tests.chaos.tab import Tab

log = logging.getLogger(__name__)

FLOOD = float(os.environ.get("CHAOS_FLOOD", "3"))
"""Seconds for which is emitted. The real thing is `CHAOS_FLOOD=30 CHAOS_PATIENCE=10`."""
PATIENCE = float(os.environ.get("CHAOS_PATIENCE", "0.5"))
"""Seconds for which the emitter waits for a viewer without a sign."""
SIZE = 10_000

SPARE = 5.0
"""MiB for what the bounds do not count: objects around the bytes, buffers, what the allocator keeps."""
WINDOW = BOUNDS.window_bytes / MIB + SPARE
"""MiB by which a gateway or a broker may grow: what is on its way to the viewer."""
KEPT = BOUNDS.kept_bytes / MIB + WINDOW
"""MiB by which a runner may grow: what the log keeps, and what is on its way."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Processes of their own, and little patience."""
    settings = {"CHAOS_SET": f"databench.wire.log:PATIENCE={PATIENCE},databench.session:LOOK={min(PATIENCE, 1)}"}
    with Cluster(tmp_path_factory.mktemp("bus"), "broker", "gateway-1", "runner-1", environment=settings) as running:
        yield running


async def count_of_lost(page: Page, count: int) -> int:
    """Read the rest of `count` numbers; check that those missing are one gap, and stated; return how many they are."""
    assert (await page.receive("end")).payload == count
    numbers = [each.payload[0] for each in page.log if each.name == "number"]
    lost = count - len(numbers)
    before = next((place for place, number in enumerate(numbers) if place != number), count)
    assert numbers == [*range(before), *range(before + lost, count)]
    assert page.missed == lost
    return lost


async def test_memory_stays_bounded_others_are_served_and_the_viewer_learns_exactly_what_it_lost(
    cluster: Cluster,
) -> None:
    url = cluster.url("gateway-1")
    async with Page(url, "shared") as neighbour, Tab(url, "shared") as page:
        await page.receive("hello")
        with peaks(cluster, ("runner-1", "gateway-1", "broker")) as growth:
            await page.emit("flood", {"seconds": FLOOD, "size": SIZE})
            rounds = 0
            while "flooded" not in [each.name for each in neighbour.log]:
                await neighbour.emit("echo", rounds)
                assert (await neighbour.receive("echo")).payload == rounds
                rounds += 1
        count = next(each.payload for each in neighbour.log if each.name == "flooded")
        log.info("%d signals in %g s, %d round trips meanwhile, growth in MiB: %s", count, FLOOD, rounds, growth)
        assert growth["runner-1"] < KEPT
        assert growth["gateway-1"] < WINDOW
        assert growth["broker"] < WINDOW
        assert await count_of_lost(page, count) > 0


@pytest.fixture
def patient(cluster: Cluster) -> Iterator[str]:
    """An analysis whose runner waits so long that a busy machine is not mistaken for a viewer that does not read."""
    cluster.start("runner-2", environment={"CHAOS_SET": "databench.wire.log:PATIENCE=5"})
    yield "at-runner-2"
    cluster.kill("runner-2", signal.SIGTERM)


async def test_a_viewer_that_does_not_read_is_left_behind_and_another_of_the_same_session_gets_everything(
    cluster: Cluster, patient: str
) -> None:
    url = cluster.url("gateway-1")
    async with Tab(url, patient) as page, Page(url, patient, page.token) as other:
        await page.emit("burst", {"count": 5_000, "size": SIZE})
        assert await count_of_lost(other, 5_000) == 0
        assert await count_of_lost(page, 5_000) > 0


async def test_a_viewer_that_reads_in_time_gets_everything(services: Cluster) -> None:
    async with Page(services.url("gateway-1"), "shared") as page:
        await page.emit("burst", {"count": 5_000, "size": SIZE})
        assert await count_of_lost(page, 5_000) == 0


async def test_a_viewer_that_does_not_even_read_broadcasts_is_let_go_of_when_its_backlog_is_full(
    cluster: Cluster,
) -> None:
    cluster.start("gateway-2")
    async with (
        Page(cluster.url("gateway-2"), "brief") as watching,
        Tab(cluster.url("gateway-2"), "brief", lasts=False) as page,
    ):
        await page.receive("hello")
        token = page.token
        with peaks(cluster, ("gateway-2",)) as growth:
            for number in range(100):
                await watching.emit("tell all", [number, bytes(MIB)])
                # Through the same gateway, which so has nothing left to read from the bus.
                assert (await watching.receive("told")).payload[0] == number
            # Nobody else looks at its session, which ends after its grace.
            await watching.until(lambda: ("left", token) in watching.log)
        log.info("growth in MiB: %s", growth)
        assert growth["gateway-2"] < BACKLOG / MIB + WINDOW
        await page.until(lambda: page.attached > 1)
        assert not page.resumed
