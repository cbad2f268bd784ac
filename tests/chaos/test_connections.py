"""Connections that break, stall and end inside a frame, between a page and its gateway."""

import asyncio
from collections.abc import Iterator
from random import Random

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from databench.testing import Page
from databench.wire.messages import HELD, SUBPROTOCOL
from tests.chaos.cluster import Cluster, connections
from tests.chaos.proxy import Proxy, Way
from tests.chaos.streaming import Stream
from tests.chaos.tab import FINAL, Tab
from tests.e2e.server import eventually

LIVES = 12
"""Connections that break, before one that does not."""
PINGS = "databench_gateway.websocket:PING_INTERVAL=0.5"
"""Half a second, for a gateway that waits for a sign of life."""
SOON = "databench_gateway.bridge:WRITE_PATIENCE=0.5,databench_gateway.bridge:SLOWEST=1e9"
"""Half a second, for a gateway that waits for a page to take something."""


@pytest.mark.parametrize("seed", range(3))
async def test_connections_that_break_anywhere_cost_nothing_and_double_nothing(cluster: Cluster, seed: int) -> None:
    random = Random(seed)
    async with Proxy(cluster.url("gateway-1")) as proxy:
        # From hardly more than a handshake to some hundred signals.
        proxy.lifetimes.extend(random.randint(600, 5_000) for _ in range(LIVES))
        async with Tab(proxy.url, "shared") as tab:
            stream = Stream(tab)
            await stream.begin()
            # What the page reads late comes joined, in fewer bytes: so it ends with a connection, not with a number.
            while len(proxy.served) <= LIVES:
                await stream.follow(1)
            await stream.follow(500)
            assert await stream.finish() >= 500
            assert len(proxy.served) == LIVES + 1


@pytest.mark.parametrize("after", [1, 3, 9, 40_000])
async def test_a_frame_to_the_page_that_is_cut_comes_again_and_whole(cluster: Cluster, after: int) -> None:
    async with Proxy(cluster.url("gateway-1")) as proxy, Tab(proxy.url, "shared") as tab:
        await tab.receive("hello")
        await tab.emit("burst", {"count": 3, "size": 50_000})
        proxy.cut(Way.TO_PAGE, after)
        await tab.receive("end")
        assert tab.payloads("number") == [[number, bytes(50_000)] for number in range(3)]
        assert (tab.attached, tab.begun) == (2, 1)


@pytest.mark.parametrize("after", [1, 3, 9, 500_000])
async def test_a_frame_from_the_page_that_is_cut_is_sent_again_and_handled_once(cluster: Cluster, after: int) -> None:
    async with Proxy(cluster.url("gateway-1")) as proxy, Tab(proxy.url, "shared") as tab:
        await tab.receive("hello")
        await tab.emit("keep", 1)
        proxy.cut(Way.TO_GATEWAY, after)
        await tab.emit("keep", [2, bytes(1_000_000)])
        await tab.emit("keep", 3)
        await tab.emit("keep")
        assert (await tab.receive("known")).payload["kept"] == [1, 2, 3]
        assert (tab.attached, tab.begun) == (2, 1)


@pytest.mark.parametrize("signal", ["work", "work beside"])
async def test_all_that_a_page_emits_while_its_connection_is_down_is_handled_once_and_in_order(
    cluster: Cluster, signal: str
) -> None:
    async with Proxy(cluster.url("gateway-1")) as proxy, Tab(proxy.url, "shared") as tab:
        await tab.receive("hello")
        proxy.refusing = True
        proxy.drop()
        await tab.socket.wait_closed()
        for number in range(HELD):
            await tab.emit(signal, number)
        proxy.refusing = False
        for _ in range(HELD):
            await tab.receive("worked", "warn")
        assert tab.payloads("worked") == list(range(HELD))
        assert (tab.attached, tab.begun) == (2, 1)


@pytest.mark.parametrize("after", [200, 1_000, 3_000])
async def test_many_signals_in_a_frame_that_is_cut_are_sent_again_and_handled_once_and_in_order(
    cluster: Cluster, after: int
) -> None:
    async with Proxy(cluster.url("gateway-1")) as proxy, Tab(proxy.url, "shared") as tab:
        await tab.receive("hello")
        proxy.drop()
        await tab.socket.wait_closed()
        for number in range(200):
            await tab.emit("work", number)
        # More than the page says first: what is cut is the frame in which all of these come.
        proxy.cut(Way.TO_GATEWAY, after)
        for _ in range(200):
            await tab.receive("worked", "warn")
        assert tab.payloads("worked") == list(range(200))
        assert (tab.attached, tab.begun) == (3, 1)


@pytest.mark.parametrize("way", Way)
async def test_what_was_handled_but_not_acknowledged_in_time_is_sent_again_and_handled_once(
    cluster: Cluster, way: Way
) -> None:
    async with (
        Proxy(cluster.url("gateway-1")) as proxy,
        Tab(proxy.url, "shared") as tab,
        Tab(cluster.url("gateway-1"), "shared", tab.token) as neighbour,
    ):
        await tab.receive("hello")
        # What the page does not hear it cannot know, and what it says then is lost with the connection.
        proxy.stall(way)
        for number in range(50):
            await tab.emit("keep", number)
        await tab.emit("echo", "heard")
        if way is Way.TO_PAGE:
            await neighbour.receive("echo")
        proxy.drop()
        proxy.resume()
        await tab.receive("echo")
        await tab.emit("keep")
        assert (await tab.receive("known")).payload["kept"] == list(range(50))
        assert tab.payloads("echo") == ["heard"]
        assert (tab.attached, tab.begun) == (2, 1)


@pytest.mark.parametrize("ways", [(Way.TO_PAGE,), (Way.TO_GATEWAY,), tuple(Way)], ids=["to page", "to gateway", "both"])
async def test_a_connection_that_stalls_goes_on_where_it_was(cluster: Cluster, ways: tuple[Way, ...]) -> None:
    size, count = 10_000, 1_000
    async with (
        Proxy(cluster.url("gateway-1")) as proxy,
        Tab(proxy.url, "shared") as tab,
        Page(cluster.url("gateway-1"), "shared", tab.token) as neighbour,
    ):
        await tab.receive("hello")
        await tab.emit("burst", {"count": count, "size": size})
        await tab.receive("number")
        proxy.stall(*ways)
        # The handler waits for the page that is silent, and nobody is sent more than its window of 4 MiB.
        for _ in range(300):
            await neighbour.receive("number")
        proxy.resume()
        await asyncio.gather(tab.receive("end"), neighbour.receive("end"))
        for page in (tab, neighbour):
            numbers = [signal.payload[0] for signal in page.log if signal.name == "number"]
            assert (numbers, page.missed) == (list(range(count)), 0)
        assert tab.attached == 1


@pytest.fixture
def impatient(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A gateway with less patience than usual, given as its environment."""
    cluster.start("gateway-3", environment=request.param)
    yield "gateway-3"
    cluster.kill("gateway-3")


@pytest.mark.parametrize("impatient", [{"CHAOS_SET": PINGS}], indirect=True, ids=["pings"])
async def test_a_stall_for_longer_than_the_gateway_waits_costs_nothing(cluster: Cluster, impatient: str) -> None:
    async with Proxy(cluster.url(impatient)) as proxy, Tab(proxy.url, "shared") as tab:
        stream = Stream(tab)
        await stream.begin()
        await stream.follow(200)
        proxy.stall()
        for _ in range(5):
            await stream.send()
        await asyncio.to_thread(eventually, lambda: connections(cluster.process(impatient)) == 0)
        proxy.resume()
        await stream.follow(200)
        await stream.finish()
        assert tab.attached > 1


@pytest.mark.parametrize("impatient", [{"CHAOS_SET": SOON}], indirect=True, ids=["writes"])
async def test_a_page_that_neither_reads_nor_answers_is_let_go_of(cluster: Cluster, impatient: str) -> None:
    async with (
        Page(cluster.url("gateway-1"), "brief") as watching,
        Proxy(cluster.url(impatient)) as proxy,
        Page(proxy.url, "brief") as page,
    ):
        proxy.stall()
        # More than the system takes for it, so that the gateway has something left that it cannot send.
        for number in range(12):
            await watching.emit("tell all", [number, bytes(2**20)])
            await watching.receive("told")
        await watching.until(lambda: ("left", page.token) in watching.log)
        page.drop()


@pytest.mark.parametrize(
    "impatient", [{"CHAOS_SET": "databench_gateway.bridge:ATTACH_PATIENCE=0.5"}], indirect=True, ids=["attach"]
)
async def test_a_page_whose_first_word_is_held_up_may_try_again(cluster: Cluster, impatient: str) -> None:
    address = f"{cluster.url(impatient)}/ws/shared".replace("http", "ws")
    async with connect(address, subprotocols=[Subprotocol(SUBPROTOCOL)]) as socket:
        await socket.wait_closed()
        assert socket.close_code not in FINAL, (socket.close_code, socket.close_reason)
