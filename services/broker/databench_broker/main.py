"""The broker's process."""

import asyncio
import gc
import secrets

from databench.bus import service
from databench.config import Settings
from databench_broker.broker import Broker

YOUNG = 50_000
"""Objects that are made before the collector looks for cycles among them: more than what 4,000 chunks of a runner are
made of. With Python's 700 it looks again and again at chunks that wait, while more of them come, for a tenth of the
time."""


def main(settings: Settings) -> None:
    """Run a broker as this process."""
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    service.main(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = service.Stop()
    stop.watch()
    broker = Broker(settings.bus, f"{settings.service_name('broker')}-{secrets.token_hex(3)}")
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(broker.run())
            await stop.wished()
            running.cancel()
    finally:
        broker.close()
