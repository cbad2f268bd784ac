"""Two gateways behind a proxy that takes them in turn: no page has to come back to the one that it knew."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from databench.bus.zeromq import connector
from databench.testing import Page
from databench.wire import codec
from databench.wire.messages import Broadcasts, Signals
from tests.chaos.cluster import Cluster
from tests.chaos.proxy import Proxy
from tests.chaos.streaming import Stream
from tests.chaos.tab import Tab
from tests.runs import decoded

TURNS = 6


@pytest.fixture
async def proxy(cluster: Cluster) -> AsyncIterator[Proxy]:
    """Takes the two gateways in turn."""
    async with Proxy(cluster.url("gateway-1"), cluster.url("gateway-2")) as proxy:
        yield proxy


async def test_a_page_that_lands_on_the_other_gateway_each_time_misses_nothing(proxy: Proxy) -> None:
    async with Tab(proxy.url, "shared") as tab:
        stream = Stream(tab)
        await stream.begin()
        for turn in range(TURNS):
            await stream.follow(50)
            proxy.drop()
            while tab.attached < turn + 2:
                await stream.follow(1)
        await stream.finish()
        assert len(proxy.served) == TURNS + 1
        assert set(proxy.served[::2]).isdisjoint(proxy.served[1::2])


async def test_a_page_is_refused_for_a_while_and_misses_nothing(proxy: Proxy) -> None:
    async with Tab(proxy.url, "shared") as tab, Page(proxy.gateways[0], "shared", tab.token) as neighbour:
        stream = Stream(tab)
        await stream.begin()
        await stream.follow(50)
        proxy.refusing = True
        proxy.drop()
        following = asyncio.create_task(stream.follow(500))
        while (await neighbour.receive("number")).payload < 300:
            pass
        proxy.refusing = False
        await following
        await asyncio.gather(stream.finish(), neighbour.receive("end"))
        assert tab.attached == 2


async def test_a_page_of_the_same_session_on_the_other_gateway_sees_and_steers_it(proxy: Proxy) -> None:
    async with Tab(proxy.url, "shared") as tab:
        stream = Stream(tab)
        await stream.begin()
        await stream.follow(50)
        async with Tab(proxy.url, "shared", tab.token) as other:
            assert proxy.served == list(proxy.gateways)
            assert (other.token, other.resumed) == (tab.token, True)
            # The other one takes the decision, and both see what came of it.
            await other.set("enough", True)
            count, last = await asyncio.gather(stream.verify(), other.receive("end"))
            assert last.payload == count
            assert other.payloads("number") == list(range(count))
            await other.until(lambda: other.state == tab.state)


class Eavesdropper:
    """A place on the bus that hears what is said to all gateways."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, Broadcasts]] = []
        """The topic of each frame to all viewers at a gateway, and the broadcasts in it."""
        self._echoes = 0
        self._news = asyncio.Event()

    def signalled(self, topic: bytes, frames: Sequence[bytes]) -> None:
        """Note a frame of broadcasts, and what one viewer is answered."""
        if len(frames) == 4:
            messages = decoded(frames[3])
            self.heard += [(topic, message) for message in messages if isinstance(message, Broadcasts)]
        elif len(frames) == 2:
            self._echoes += sum(isinstance(each, Signals) and each.name == "echo" for each in decoded(frames[1]))
        self._news.set()

    async def echoes(self, count: int) -> None:
        """Return when it has heard so many, and everything that was said before."""
        while self._echoes < count:
            self._news.clear()
            await self._news.wait()

    def dispatched(self, envelope: bytes, payload: bytes) -> None:
        """Nothing comes here."""

    def bus_up(self) -> None:
        """Nothing to do."""

    def bus_down(self) -> None:
        """Nothing to do."""


async def test_a_broadcast_crosses_the_bus_once_for_each_gateway_and_reaches_each_page_once(
    cluster: Cluster, proxy: Proxy
) -> None:
    ear = Eavesdropper()
    bus = connector(cluster.bus)("ear", [b"g/"], ear)
    await bus.joined()
    pages = [Page(proxy.url, "shared") for _ in range(6)]
    try:
        for page in pages:
            await page.attach()
        assert len({page.token for page in pages}) == 6
        for number in range(10):
            await pages[number % 6].emit("tell all", number)
            for page in pages:
                assert (await page.receive("told")).payload == number
        for page in pages:
            await page.emit("echo", "over")
            await page.receive("echo")
            assert [signal.payload for signal in page.log if signal.name == "told"] == list(range(10))
        await ear.echoes(len(pages))
        told = [(topic, codec.unpack(each.payloads[0])) for topic, each in ear.heard if each.name == "told"]
        assert len({topic for topic, _ in told}) == 2
        assert sorted(number for _, number in told) == sorted(2 * list(range(10)))
        assert len(set(told)) == len(told)
    finally:
        await asyncio.gather(*(page.socket.close() for page in pages))
        await bus.close()
