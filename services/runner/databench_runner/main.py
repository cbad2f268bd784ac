"""The runner's process."""

from databench.bus import service
from databench.config import Settings
from databench_runner.runner import Runner


def main(settings: Settings) -> None:
    """Run a runner as this process."""
    service.main(service.serve(lambda: Runner(settings), settings.bus))
