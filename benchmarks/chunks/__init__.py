"""Chunks of work on the slots of Databench and of its peers, side by side.

For each case, round and peer `run` starts a `client` process in the peer's environment. It starts a pool (`peers`,
all behind `contract`), measures (`measures`) and prints what came. Databench is measured from inside a handler of a
real `databench` (`handlers`), by the same functions. What the slots of all of them do is in `workload`.
"""
