"""The analysis of the gallery that computes by a pool of processes, and pools of both kinds of handlers."""

from collections.abc import Iterator

import psutil
import pytest

from databench.testing import Page
from tests.e2e.queues import NOWHERE, ROOT
from tests.e2e.server import Server, eventually


@pytest.fixture(scope="module")
def gallery() -> Iterator[Server]:
    """The gallery, whose pool and runner a test may harm: both come back."""
    with Server(ROOT / "analyses", "--no-reload", environment=NOWHERE) as running:
        yield running


async def computed(page: Page) -> set[int]:
    """Wait until a picture is complete; return the processes that computed it."""
    await page.until(lambda: page.state.get("done") == 70, within=40)
    return {each.payload["process"] for each in page.log if each.name == "tile"}


@pytest.mark.parametrize("handler", ["plain", "async"])
async def test_a_pool_of_processes_works_inside_a_handler(server: Server, handler: str) -> None:
    async with Page(server.url, "pools") as page:
        await page.emit(handler, [1, 2, 3])
        squares = [(await page.receive("squared")).payload for _ in range(3)]
    assert squares == [{"number": number, "elsewhere": True} for number in (1, 4, 9)]


async def test_the_parts_of_a_picture_come_from_the_pool_one_by_one_and_a_cancelled_run_frees_it(
    gallery: Server,
) -> None:
    async with Page(gallery.url, "poolpi") as page:
        await page.emit("run", {})
        await page.until(lambda: "handling:run" in page.known)
        await page.emit("cancel", "run")
        await page.until(lambda: "handling:run" not in page.known)
        assert page.state["done"] < 70
        page.log.clear()
        await page.emit("run", {})
        processes = await computed(page)
        steps = {each.payload["digits"]: each.payload["steps"] for each in page.log if each.name == "neck"}
        assert sum(each.name == "tile" for each in page.log) == 64
    assert steps == {1: 33, 2: 315, 3: 3143, 4: 31417, 5: 314160, 6: 3141593}
    assert gallery.service("runner").pid not in processes


async def test_a_process_of_the_pool_that_dies_is_told_and_the_next_run_has_a_new_pool(gallery: Server) -> None:
    async with Page(gallery.url, "poolpi") as page:
        await page.emit("run", {})
        psutil.Process((await page.receive("tile")).payload["process"]).kill()
        error = (await page.receive("error")).payload
        assert error["type"] == "BrokenProcessPool"
        page.log.clear()
        await page.emit("run", {})
        assert await computed(page)


async def test_the_processes_of_a_pool_end_with_a_runner_that_is_killed(gallery: Server) -> None:
    async with Page(gallery.url, "poolpi") as page:
        await page.emit("run", {})
        pool = [psutil.Process(pid) for pid in await computed(page)]
        gallery.service("runner").kill()
        eventually(lambda: not any(process.is_running() for process in pool))
