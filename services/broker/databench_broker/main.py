"""The broker's process."""

import asyncio
import secrets

from databench.bus import service
from databench.config import Settings
from databench_broker.broker import Broker


def main(settings: Settings) -> None:
    """Run a broker as this process."""
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
