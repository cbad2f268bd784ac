"""Parallel without Databench's workers: pools of Python's own inside handlers."""

import asyncio
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import databench

pools = databench.Analysis("pools", __name__)
pools.description = __doc__
pools.show_in_index = False


def square(number: int) -> tuple[int, int]:
    """Work, and tell where."""
    return number * number, os.getpid()


def pool() -> ProcessPoolExecutor:
    """Make a pool: a runner has threads, which a forked process would not survive."""
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


@pools.signals.on("plain")
def plain(numbers: list[int]) -> None:
    """Wait in the handler's own thread."""
    with pool() as processes:
        for number, pid in processes.map(square, numbers):
            pools.signals.emit("squared", {"number": number, "elsewhere": pid != os.getpid()})


@pools.signals.on("async")
async def on_the_loop(numbers: list[int]) -> None:
    """Wait on the loop."""
    loop = asyncio.get_running_loop()
    with pool() as processes:
        for number, pid in await asyncio.gather(*(loop.run_in_executor(processes, square, n) for n in numbers)):
            await pools.signals.emit("squared", {"number": number, "elsewhere": pid != os.getpid()})
