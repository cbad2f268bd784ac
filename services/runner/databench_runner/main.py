"""The runner's process."""

import gc
import sys

from databench.bus import service
from databench.config import Settings
from databench_runner.runner import Runner

SWITCH_INTERVAL = 0.000_5
"""Seconds after which a computing handler lets others run: with Python's 5 ms every signal of every other session
would wait that long, several times on its way."""

YOUNG = 20_000
"""Objects that are made before the collector looks for cycles among them. With Python's 700 it looks, while thousands
of jobs begin, again and again at what all of them need, for a fifth of the time."""


def main(settings: Settings) -> None:
    """Run a runner as this process."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    service.main(service.serve(lambda: Runner(settings), settings.bus))
