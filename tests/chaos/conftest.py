"""The tests with faults share services where each test can repair what it has harmed."""

from collections.abc import Iterator

import pytest

from tests.chaos.cluster import Cluster

ACQUAINTANCE = "databench_gateway.gateway:ACQUAINTANCE=8"
"""Seconds for which a page waits for its runner where a gateway or the broker is new; a page waits for ten."""


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two gateways, two runners, and a worker with two slots."""
    names = ("broker", "gateway-1", "gateway-2", "runner-1", "runner-2", "worker-1")
    environment = {"CHAOS_SET": ACQUAINTANCE}
    with Cluster(tmp_path_factory.mktemp("bus"), *names, environment=environment) as running:
        yield running


@pytest.fixture
def cluster(services: Cluster) -> Iterator[Cluster]:
    """The same, all of them alive again after the test."""
    yield services
    services.repair()
