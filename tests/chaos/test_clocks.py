"""A wall clock that jumps by hours, to and fro, in all services: nobody looks at it to know how long something took."""

import time
from collections.abc import Iterator

import pytest

from databench.testing import Page
from databench.wire import codec
from databench.wire.messages import Signal
from tests.chaos.cluster import Cluster
from tests.chaos.proxy import Proxy
from tests.chaos.streaming import Stream
from tests.chaos.tab import Tab

BURST = 2_000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Services with a jumping clock, of which each page may send 100 signals a second."""
    names = ("broker", "gateway-1", "runner-1", "worker-1")
    settings = {"CHAOS_CLOCK": "7", "DATABENCH_RATE": "100"}
    with Cluster(tmp_path_factory.mktemp("bus"), *names, environment=settings) as running:
        yield running


async def test_sessions_presence_and_jobs_are_not_impressed_by_a_clock_that_jumps(cluster: Cluster) -> None:
    async with Proxy(cluster.url("gateway-1")) as proxy, Tab(proxy.url, "shared") as tab:
        assert abs((await tab.receive("hello")).payload["wall"] - time.time()) > 3600
        stream = Stream(tab)
        await stream.begin()
        await stream.follow(20)
        proxy.drop()
        # For longer than the time between two looks for services that are gone.
        await stream.follow(4_000)
        await tab.emit("map", [1, 2, 3])
        assert (await tab.receive("mapped")).payload == [2, 4, 6]
        await stream.finish()
        assert (tab.attached, tab.resumed) == (2, True)


async def test_grace_is_not_cut_short_and_comes_to_an_end(cluster: Cluster) -> None:
    url = cluster.url("gateway-1")
    async with Page(url, "brief") as watching, Page(url, "brief") as page, Page(url, "shared") as patient:
        await page.receive("hello")
        await patient.receive("hello")
        await patient.leave()
        await page.leave()
        await watching.until(lambda: ("left", page.token) in watching.log)
        # The grace of the other one is 300 s, and much less is over.
        async with Page(url, "shared", patient.token) as back:
            assert back.resumed


async def test_a_page_cannot_send_faster_because_hours_seem_to_have_passed(cluster: Cluster) -> None:
    async with Page(cluster.url("gateway-1"), "shared") as page:
        await page.receive("hello")
        signals = [Signal(number, "keep", codec.pack(number)) for number in range(1, BURST + 1)]
        await page.socket.send(codec.encode(*signals))
        await page.until(lambda: any("more than 100 signals a second" in str(signal.payload) for signal in page.log))
