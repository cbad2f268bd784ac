"""Runs the benchmarks that are named, or all."""

import importlib
import sys

NAMES = ("start", "slowpi", "signals")


def main(names: list[str]) -> None:
    """Run them one after the other, each as a table."""
    for name in names or NAMES:
        if name not in NAMES:
            sys.exit(f"there is no benchmark {name!r}: choose from {', '.join(NAMES)}")
        importlib.import_module(f"benchmarks.{name}").main()


main(sys.argv[1:])
