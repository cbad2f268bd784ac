"""Databench with the handlers of a benchmark: the real processes, as `databench` starts them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.server import Server

ROOT = Path(__file__).parents[1]


@contextmanager
def serving(handlers: Path, *options: str) -> Iterator[Server]:
    """Serve a folder of analyses, which may import this package."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(ROOT) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), *paths]))
    with Server(handlers, "--no-reload", *options) as server:
        yield server
