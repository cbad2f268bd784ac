"""The runner's process."""

import sys

from databench.bus import service
from databench.config import Settings
from databench_runner.runner import Runner

SWITCH_INTERVAL = 0.000_5
"""Seconds after which a computing handler lets others run: with Python's 5 ms every signal of every other session
would wait that long, several times on its way."""


def main(settings: Settings) -> None:
    """Run a runner as this process."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    service.main(service.serve(lambda: Runner(settings), settings.bus))
