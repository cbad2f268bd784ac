"""Read at its start by every Python that has this folder on its path: a wall clock that jumps, little patience.

`CHAOS_CLOCK=HOURS`: from one look at the wall clock to the next it jumps by so many hours, to and fro.
`CHAOS_SET=module:NAME=SECONDS,…`: patience of which a test does not want to wait for the end.
"""

import importlib
import itertools
import os
import time

if hours := float(os.environ.get("CHAOS_CLOCK", "0")):
    wall = time.time
    jumps = itertools.cycle((hours * 3600, -hours * 3600))
    time.time = lambda: wall() + next(jumps)
    time.time_ns = lambda: int(time.time() * 1e9)

for setting in filter(None, os.environ.get("CHAOS_SET", "").split(",")):
    where, _, seconds = setting.partition("=")
    module, _, name = where.partition(":")
    assert hasattr(importlib.import_module(module), name), setting
    setattr(importlib.import_module(module), name, float(seconds))
