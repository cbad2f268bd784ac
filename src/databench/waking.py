"""Waiting for a job in a thread or on the loop: where that is refused, and how another thread ends it.

Knows nothing of what is waited for.
"""

import asyncio
from contextlib import suppress

from databench.errors import AnalysisError


def refuse_loop() -> None:
    """Raise AnalysisError where waiting would block an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise AnalysisError(
        "waiting for a job here would block everything else; in an async handler use "
        "`async for x in job`, or `await job` for all results"
    )


def resolve(waiter: "asyncio.Future[None]") -> None:
    """End a wait, unless it has ended; on its loop's thread."""
    if not waiter.done():
        waiter.set_result(None)


def wake(loop: asyncio.AbstractEventLoop, waiter: "asyncio.Future[None]") -> None:
    """End a wait, from any thread."""
    with suppress(RuntimeError):  # its loop is closed: nobody waits there any more
        loop.call_soon_threadsafe(resolve, waiter)
