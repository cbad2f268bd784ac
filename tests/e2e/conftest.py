"""The end-to-end tests share one running `databench` where they do not harm it."""

from collections.abc import Iterator

import pytest

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
