"""The command `databench`: what stands before the command line, so that a health check need not wait for all of it.

Containers ask for their health every few seconds, and without options: reading one word takes no parser.
"""

import importlib
import sys

from databench import health


def main() -> None:
    """Run the command line, or the check that it asks for."""
    match sys.argv[1:]:
        case ["health", kind] if kind in health.KINDS:
            health.main(kind)
        case _:
            importlib.import_module("databench.cli").main()
