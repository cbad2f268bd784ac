"""Tasks on the workers, from a handler and back, through all four real services."""

import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from databench.bus.address import free_ports
from databench.testing import Page
from tests.e2e.server import PROBES, START, Server, eventually, reattached


async def test_map_spreads_over_the_workers_from_plain_and_async_handlers(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        for emitted in ("map", "map async"):
            await page.emit(emitted, list(range(500)))
            assert (await page.receive("mapped")).payload == [2 * number for number in range(500)]


async def test_a_hundred_jobs_of_twenty_sessions_at_once_get_their_own_results_and_share_alike(
    server: Server, tmp_path: Path
) -> None:
    marks, gate = [tmp_path / "one", tmp_path / "two"], tmp_path / "gate"
    async with Page(server.url, "probe") as holding, AsyncExitStack() as stack:
        # Both slots are busy until all jobs are there.
        await holding.emit("wait", [[str(mark) for mark in marks], str(gate)])
        await asyncio.to_thread(eventually, lambda: all(mark.exists() for mark in marks))
        pages = [await stack.enter_async_context(Page(server.url, "probe")) for _ in range(20)]
        own = [[list(range(at, at + 10)) for at in range(1000 * n, 1000 * n + 500, 100)] for n in range(len(pages))]
        for page, jobs in zip(pages, own, strict=True):
            for numbers in jobs:
                await page.emit("map beside others", numbers)
        for page, jobs in zip(pages, own, strict=True):
            for _ in jobs:
                await page.receive("handed out")
        gate.touch()
        for page, jobs in zip(pages, own, strict=True):
            got = [(await page.receive("mapped", within=40)).payload for _ in jobs]
            assert sorted(got) == [[2 * number for number in numbers] for numbers in jobs]
        await pages[0].emit("takers")
        takers = (await pages[0].receive("takers")).payload
    assert Counter(takers) == dict.fromkeys(range(20), 50)
    # When the first of them has all, the others have no less than half. What counts is the time of the slots, so some
    # may have less: those whose chunks were running when the machine was busy with something else.
    had: Counter[int] = Counter()
    for taker in takers:
        had[taker] += 1
        if had[taker] == 50:
            break
    shares = sorted(had[number] for number in range(20))
    assert shares[0] > 0, shares
    assert shares[4] >= 25, shares


async def test_an_exception_in_a_task_arrives_with_its_item_and_its_remote_traceback(server: Server) -> None:
    async with Page(server.url, "probe") as page:
        await page.emit("divide", [3, 0, 1])
        failure = (await page.receive("failure")).payload
    assert (failure["type"], failure["item"]) == ("ZeroDivisionError", 1)
    assert "return 1 / number" in failure["traceback"]


async def test_a_killed_slot_costs_no_result(own_server: Server) -> None:
    async with Page(own_server.url, "probe") as page:
        await page.emit("nap", [0.3] * 8)
        first = (await page.receive("napped")).payload
        psutil.Process(first["pid"]).send_signal(signal.SIGKILL)
        for _ in range(7):
            await page.receive("napped")
        await page.receive("rested")


async def test_the_chunks_of_a_killed_worker_run_on_another() -> None:
    with Server(PROBES, "--workers", "2", "--slots", "2") as server:
        async with Page(server.url, "probe") as page:
            await page.emit("nap", [0.3] * 20)
            names = [(await page.receive("napped")).payload["worker"]]
            while set(names) != {"worker-1", "worker-2"}:
                names.append((await page.receive("napped")).payload["worker"])
            server.service("worker-1").kill()
            for _ in range(20 - len(names)):
                await page.receive("napped")
            await page.receive("rested")


async def test_a_job_waits_for_a_worker_to_come() -> None:
    with Server(PROBES, "--slots", "1") as server:
        async with Page(server.url, "probe") as page:
            server.service("worker-1").kill()
            await page.emit("map", [1, 2, 3])
            assert (await page.receive("mapped", within=START)).payload == [2, 4, 6]


async def test_workers_start_although_nobody_reads_what_they_say() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    port = free_ports()
    command = [sys.executable, "-m", "databench", "serve", str(PROBES), "--port", str(port), "--slots", "1"]
    # The probes hold a module that cannot be imported, of which each process wants to tell.
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, stderr=writing)
    os.close(writing)
    try:
        page = Page(f"http://127.0.0.1:{port}", "probe")
        await reattached(page)
        await page.emit("map", [1, 2, 3])
        assert (await page.receive("mapped", within=START)).payload == [2, 4, 6]
        await page.socket.close()
    finally:
        process.terminate()
        assert await process.wait() == 0
