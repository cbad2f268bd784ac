"""Signals to a lean client of a browser's protocol: Databench and its peers, side by side.

`run` starts the servers of all peers (`peers`, `servers`), each in an environment of its own (`environments`), and
for each case, round and peer a `client` process, which speaks the peer's protocol (`protocols`) and measures
(`cases`). What the handlers of all peers do is in `workload`; this package imports nothing by itself, so that peers
can use it from their environments.
"""
