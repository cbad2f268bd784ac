"""The worker's process."""

from databench.bus import service
from databench.config import Settings
from databench_worker.crew import CrewPlan
from databench_worker.parent import Worker


def main(settings: Settings) -> None:
    """Run a worker as this process."""
    plan = CrewPlan(
        settings.service_name(Worker.kind),
        settings.slot_count(),
        settings.analyses,
    )
    service.main(service.serve(lambda: Worker(plan), settings.bus))
