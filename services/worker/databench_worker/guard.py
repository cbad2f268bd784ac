"""What callbacks raise: nobody awaits a callback, and the event loop would only log it and go on.

Owns the first such error, for which whoever runs the worker waits. Knows nothing of what is called.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TypeVarTuple

log = logging.getLogger("databench.worker")

Arguments = TypeVarTuple("Arguments")


class Guard:
    """Calls callbacks; the first error that one raises is raised by `broken`."""

    def __init__(self) -> None:
        self._error: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __call__(self, callback: Callable[[*Arguments], object], *arguments: *Arguments) -> None:
        """Call a callback."""
        try:
            callback(*arguments)
        except Exception as error:
            self._take(error)

    async def over(self, work: Coroutine[object, object, object]) -> None:
        """Do what a task does that nobody awaits."""
        try:
            await work
        except Exception as error:
            self._take(error)

    async def broken(self) -> None:
        """Wait for the first error, and raise it."""
        await self._error

    def _take(self, error: Exception) -> None:
        if self._error.done():
            log.error("another fault, after the first", exc_info=error)
        else:
            self._error.set_exception(error)
