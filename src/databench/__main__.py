"""`python -m databench`."""

from databench.command import main

main()
