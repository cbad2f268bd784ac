"""Analyses that the end-to-end tests drive."""
