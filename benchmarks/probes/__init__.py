"""Analyses that the benchmarks drive."""
