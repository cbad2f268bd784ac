"""Runs the benchmarks that are named, or all; what follows one that takes options are these."""

import importlib
import sys

MODULES = {
    "start": "benchmarks.start",
    "signals": "benchmarks.signals.run",
    "chunks": "benchmarks.chunks.run",
}
WITH_OPTIONS = {"signals", "chunks"}


def main(arguments: list[str]) -> None:
    """Run them one after the other, each as a table."""
    if set(arguments[:1]) & WITH_OPTIONS:
        names, options = arguments[:1], [arguments[1:]]
    else:
        names, options = arguments or list(MODULES), []
    for name in names:
        if name not in MODULES:
            sys.exit(f"there is no benchmark {name!r}: choose from {', '.join(MODULES)}")
        importlib.import_module(MODULES[name]).main(*options)


main(sys.argv[1:])
