"""The worker's process."""

from databench.bus import service
from databench.config import Settings
from databench_worker.parent import Worker


def main(settings: Settings) -> None:
    """Run a worker as this process."""
    name = settings.service_name(Worker.kind)
    service.main(service.serve(lambda: Worker(name, settings.slot_count(), settings.analyses), settings.bus))
