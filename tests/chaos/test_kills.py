"""Services that are killed in the middle of a stream, and what their pages notice."""

import asyncio
import signal

import pytest

from databench.testing import Page
from databench.wire.roster import owner
from tests.chaos.cluster import Cluster, connections
from tests.chaos.streaming import Stream
from tests.chaos.tab import Tab
from tests.e2e.server import START, eventually

RUNNERS = ("runner-1", "runner-2")
PATIENT = "databench_gateway.gateway:ACQUAINTANCE=60"
"""Seconds for which a page waits for its runner at a gateway that is new."""


@pytest.mark.parametrize("name", ["gateway-1", "broker"])
async def test_a_killed_gateway_or_broker_costs_nothing_and_doubles_nothing(cluster: Cluster, name: str) -> None:
    async with Tab(cluster.url("gateway-1"), "shared") as tab:
        stream = Stream(tab)
        await stream.begin()
        for times in range(2):
            await stream.follow(200)
            cluster.kill(name)
            await stream.send()
            starting = asyncio.create_task(asyncio.to_thread(cluster.start, name))
            while tab.attached < times + 2:
                await stream.follow(1)
            await starting
        await stream.finish()
        assert tab.attached >= 3


async def test_a_page_that_comes_back_before_its_runner_does_not_begin_anew_on_another(cluster: Cluster) -> None:
    async with Tab(cluster.url("gateway-1"), "shared") as tab:
        home = cluster.process((await tab.receive("hello")).payload["runner"])
        cluster.kill("gateway-1")
        home.suspend()
        try:
            cluster.start("gateway-1", environment={"CHAOS_SET": PATIENT}, acquainted=False)
            back = asyncio.create_task(tab.back())
            await asyncio.to_thread(eventually, lambda: connections(cluster.process("gateway-1")) == 1)
        finally:
            home.resume()
        await back
        assert tab.resumed
    cluster.kill("gateway-1")


async def test_pages_of_another_gateway_do_not_notice_that_one_is_killed(cluster: Cluster) -> None:
    async with Tab(cluster.url("gateway-2"), "shared") as tab, Page(cluster.url("gateway-1"), "shared") as lost:
        stream = Stream(tab)
        await stream.begin()
        await stream.follow(100)
        cluster.kill("gateway-1")
        await lost.closed()
        await stream.follow(100)
        await stream.finish()
        assert tab.attached == 1


async def test_the_analyses_of_a_killed_runner_open_on_another_and_the_sessions_there_do_not_notice(
    cluster: Cluster,
) -> None:
    home = owner("shared", RUNNERS)
    assert home is not None
    other = next(name for name in RUNNERS if name != home)
    async with (
        Tab(cluster.url("gateway-1"), "shared", lasts=False) as tab,
        Tab(cluster.url("gateway-1"), f"at-{other}") as here,
        Tab(cluster.url("gateway-2"), f"at-{other}", here.token) as there,
    ):
        assert (await tab.receive("hello")).payload["runner"] == home
        stream = Stream(here)
        await stream.begin()
        ended = asyncio.create_task(there.receive("end"))
        await stream.follow(50)
        cluster.kill(home)
        begun = asyncio.create_task(tab.receive("hello"))
        while not begun.done():
            await stream.follow(1)
        assert begun.result().payload["runner"] == other
        assert (tab.begun, tab.resumed) == (2, False)
        count = await stream.finish()
        await ended
        assert there.payloads("number") == list(range(count))
        assert (here.attached, there.attached) == (1, 1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_the_pages_of_a_runner_that_is_started_again_come_back_and_begin_anew(
    cluster: Cluster, number: signal.Signals
) -> None:
    async with (
        Tab(cluster.url("gateway-1"), "at-runner-1", lasts=False) as one,
        Tab(cluster.url("gateway-2"), "at-runner-1", lasts=False) as two,
    ):
        pid = (await one.receive("hello")).payload["pid"]
        await two.receive("hello")
        cluster.kill("runner-1", number)
        starting = asyncio.create_task(asyncio.to_thread(cluster.start, "runner-1"))
        for tab in (one, two):
            assert (await tab.receive("hello", within=START)).payload["pid"] != pid
            assert not tab.resumed
        await starting


async def test_a_killed_runner_is_noticed_without_waiting_for_its_silence(cluster: Cluster) -> None:
    cluster.start("gateway-3", environment={"CHAOS_SET": "databench.wire.roster:SILENCE=3600"})
    try:
        async with Page(cluster.url("gateway-3"), "shared") as page:
            home = (await page.receive("hello")).payload["runner"]
            cluster.kill(home)
            assert (await page.closed())[0] in (1012, 1013)
            await page.attach()
            assert not page.resumed
            assert (await page.receive("hello")).payload["runner"] != home
    finally:
        cluster.kill("gateway-3")
