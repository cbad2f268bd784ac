"""The end-to-end tests share one running `databench` where they do not harm it, and the servers of task queues."""

from collections.abc import Iterator

import pytest

from tests.e2e.queues import NotInstalledError, Queues, both
from tests.e2e.server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The probes, with one worker of two slots."""
    with Server() as running:
        yield running


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A `databench` that the test may harm."""
    with Server() as running:
        yield running


@pytest.fixture(scope="session")
def queues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queues]:
    """Redis and RabbitMQ with a worker each; without them on this machine the test is skipped."""
    try:
        with both(tmp_path_factory.mktemp("queues")) as running:
            yield running
    except NotInstalledError as error:
        pytest.skip(str(error))
