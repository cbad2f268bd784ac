"""Runs the benchmarks that are named, or all; options go to the one benchmark that takes some."""

import importlib
import sys

MODULES = {
    "start": "benchmarks.start",
    "slowpi": "benchmarks.slowpi",
    "signals": "benchmarks.signals.run",
}


def main(arguments: list[str]) -> None:
    """Run them one after the other, each as a table."""
    if arguments[:1] == ["signals"]:
        names, options = arguments[:1], [arguments[1:]]
    else:
        names, options = arguments or list(MODULES), []
    for name in names:
        if name not in MODULES:
            sys.exit(f"there is no benchmark {name!r}: choose from {', '.join(MODULES)}")
        importlib.import_module(MODULES[name]).main(*options)


main(sys.argv[1:])
