"""Handlers that compute in parallel by other means than Databench's workers."""

import pytest

from databench.testing import Page
from tests.e2e.server import Server


@pytest.mark.parametrize("handler", ["plain", "async"])
async def test_a_pool_of_processes_works_inside_a_handler(server: Server, handler: str) -> None:
    async with Page(server.url, "pools") as page:
        await page.emit(handler, [1, 2, 3])
        squares = [(await page.receive("squared")).payload for _ in range(3)]
    assert squares == [{"number": number, "elsewhere": True} for number in (1, 4, 9)]
