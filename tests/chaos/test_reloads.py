"""Pages that are loaded again or left: their session goes on, and after its grace everything of it is gone."""

import asyncio
from pathlib import Path

from databench.testing import Page
from tests.chaos.cluster import Cluster
from tests.chaos.streaming import Stream
from tests.chaos.tab import Tab
from tests.e2e.server import eventually


async def over(watching: Page, token: str | None, *handlers: str) -> None:
    """Wait until everybody was told that a session is over, and these handlers of it; each once."""

    def told() -> list[str]:
        ended = [
            signal.payload[1] for signal in watching.log if signal.name == "stopped" and signal.payload[0] == token
        ]
        return sorted(ended + ["left" for signal in watching.log if signal == ("left", token)])

    await watching.until(lambda: len(told()) > len(handlers))
    assert told() == sorted(["left", *handlers])


async def test_a_page_that_is_loaded_again_gets_the_log_and_the_state_while_the_computation_goes_on(
    cluster: Cluster,
) -> None:
    async with Tab(cluster.url("gateway-1"), "shared") as before:
        hello = await before.receive("hello")
        await before.emit("stream")
        await before.receive("number")
        await before.leave()
        assert before.token is not None
    async with Tab(cluster.url("gateway-2"), "shared", before.token) as after:
        assert (after.token, after.resumed) == (before.token, True)
        assert await after.receive("hello") == hello
        # It went on while nobody looked, and it does now.
        await after.until(lambda: after.state.get("at", 0) > before.state.get("at", 0))
        stream = Stream(after)
        await stream.follow(after.state["at"] + 100)
        await stream.finish()


async def test_a_session_that_nobody_comes_back_to_is_over_with_all_that_it_did(
    cluster: Cluster, tmp_path: Path
) -> None:
    marks = [tmp_path / "one", tmp_path / "two"]
    url = cluster.url("gateway-1")
    async with Page(url, "brief") as watching, Page(url, "brief") as page:
        await watching.receive("hello")
        for signal in ("run", "run async"):
            await page.emit(signal)
            await page.receive("running")
        await page.emit("occupy", [str(mark) for mark in marks])
        # Both slots are taken, for an hour.
        await asyncio.to_thread(eventually, lambda: all(mark.exists() for mark in marks))
        await page.leave()
        await over(watching, page.token, "run", "run async", "occupy")
        await watching.emit("map", [1, 2, 3])
        assert (await watching.receive("mapped")).payload == [2, 4, 6]
        async with Page(url, "brief", page.token) as late:
            assert not late.resumed
            assert late.token != page.token
            await late.receive("hello")
            assert [signal.name for signal in late.log] == ["hello"]
        await over(watching, late.token)
        await over(watching, page.token, "run", "run async", "occupy")


async def test_a_page_that_is_done_ends_its_session_unless_somebody_else_looks_at_it(cluster: Cluster) -> None:
    url = cluster.url("gateway-1")
    async with Page(url, "shared") as watching, Page(url, "shared") as page:
        async with Page(url, "shared", page.token) as other:
            await page.socket.close()
            await other.emit("run")
            await other.receive("running")
            # Done, too: nobody is left.
        await over(watching, other.token, "run")
        async with Page(url, "shared", other.token) as late:
            assert not late.resumed


async def test_a_page_that_comes_back_within_the_grace_keeps_its_session(cluster: Cluster) -> None:
    url = cluster.url("gateway-1")
    async with Page(url, "short") as page:
        await page.leave()
        async with Page(url, "short", page.token) as after, Page(url, "short") as other:
            assert after.resumed
            await other.leave()
            # Had the first grace gone on, it would have come to its end before this one.
            await over(after, other.token)
            await after.emit("echo", 1)
            await after.receive("echo")
            assert (after.ended, after.token) == (None, page.token)
