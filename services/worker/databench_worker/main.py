"""The worker's process."""

from databench.bus import service
from databench.bus.zeromq import connector
from databench.config import Settings
from databench_worker.crew import CrewPlan
from databench_worker.parent import Worker


def main(settings: Settings) -> None:
    """Run a worker as this process."""
    service.main(_serve(settings))


async def _serve(settings: Settings) -> None:
    stop = service.Stop()
    stop.watch()
    plan = CrewPlan(
        settings.service_name(Worker.kind),
        settings.slot_count(),
        settings.analyses,
        settings.memory,
        settings.renew_after,
    )
    worker = Worker(plan, failed=stop.wish)
    await service.run(worker, connector(settings.bus), stop)
    if worker.failure is not None:
        raise worker.failure  # whoever supervises sees by the exit code that another is needed
