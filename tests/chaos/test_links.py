"""A connection to the broker that breaks and comes back while the broker lives, as between two machines."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from databench.bus import address
from databench.testing import Page
from tests.chaos.cluster import Cluster
from tests.chaos.proxy import Relay
from tests.chaos.streaming import Stream
from tests.chaos.tab import Tab

FAR = Path("/" + "x" * address.LONGEST_IPC)
"""A folder in which no socket can be, so that the bus is TCP on three ports."""
PROOF = "databench.wire.roster:PROOF=9"
"""Seconds that a service with a new connection may take to say so, on a busy machine."""


@pytest.fixture(scope="module")
def services() -> Iterator[Cluster]:
    """A bus over TCP, and a gateway and a runner that join it directly."""
    with Cluster(FAR, "broker", "gateway-1", "runner-1", environment={"CHAOS_SET": PROOF}) as running:
        yield running


def ports(bus: str) -> range:
    """Return the ports of a bus over TCP."""
    first = int(bus.rpartition(":")[2])
    return range(first, first + 3)


class Wire:
    """What a service far away has between it and the broker."""

    def __init__(self, relays: list[Relay], bus: str) -> None:
        self._relays = relays
        self.bus = bus

    def tear(self) -> None:
        """Break all its connections; it may connect again at once."""
        for relay in self._relays:
            relay.drop()


@pytest.fixture
async def wire(services: Cluster) -> AsyncIterator[Wire]:
    """A wire to the broker for one service more."""
    bus = address.local(str(FAR))
    async with AsyncExitStack() as stack:
        relays = [
            Relay(f"tcp://127.0.0.1:{to}", port=at) for to, at in zip(ports(services.bus), ports(bus), strict=True)
        ]
        for relay in relays:
            await stack.enter_async_context(relay)
        yield Wire(relays, bus)


@asynccontextmanager
async def far(services: Cluster, name: str, wire: Wire) -> AsyncIterator[None]:
    """A service at the other end of the wire."""
    await asyncio.to_thread(services.start, name, environment={"DATABENCH_BUS": wire.bus})
    try:
        yield
    finally:
        services.kill(name)


@pytest.mark.parametrize(
    ("name", "gateway", "analysis"),
    [("runner-2", "gateway-1", "at-runner-2"), ("gateway-2", "gateway-2", "at-runner-1")],
    ids=["runner", "gateway"],
)
async def test_a_service_whose_wire_is_torn_costs_no_session_and_no_signal(
    services: Cluster, wire: Wire, name: str, gateway: str, analysis: str
) -> None:
    async with far(services, name, wire), Tab(services.url(gateway), analysis) as tab:
        stream = Stream(tab)
        await stream.begin()
        await stream.follow(100)
        wire.tear()
        while tab.attached < 2:
            await stream.follow(1)
        await stream.finish()


async def test_a_page_that_goes_away_while_the_wire_of_its_gateway_is_torn_is_missed(
    services: Cluster, wire: Wire
) -> None:
    async with (
        far(services, "gateway-2", wire),
        Page(services.url("gateway-1"), "brief") as watching,
        Page(services.url("gateway-2"), "brief") as page,
    ):
        assert page.token is not None
        wire.tear()
        await page.closed()
        # It does not come back, and its session ends after its grace.
        await watching.until(lambda: ("left", page.token) in watching.log)
