"""Joining the bus: one contract, over ZeroMQ and in memory, and how every service runs on it."""
