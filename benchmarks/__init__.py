"""Figures for docs/performance.md: `make bench` prints all tables, `python -m benchmarks NAME` one of them."""
