"""`python -m databench`."""

from databench.cli import main

main()
