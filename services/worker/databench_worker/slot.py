"""A slot: the process that runs one chunk after another.

Forked by the nursery with the analyses imported. Speaks with the worker's parent over one socket, in bytes only:
`slots` when it is ready, then for each `run` a `done` or a `failed`. Knows nothing of the bus.
"""

import os
import select
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection

from databench.jobs import become_worker, perform
from databench.wire import codec
from databench.wire.messages import Done, Failed, Run, Slots


def main(connection: Connection, worker: str) -> None:
    """Run chunks until the parent closes the connection or ends this process."""
    become_worker(worker)
    _own_randomness()
    threading.Thread(target=_end_with_parent, args=(connection.fileno(),), daemon=True).start()
    with suppress(EOFError, ConnectionError):
        connection.send_bytes(codec.encode(Slots(1)))
        while True:
            run = codec.decode_one(connection.recv_bytes(), (Run,))
            assert isinstance(run, Run)
            ran = perform(run.task, connection.recv_bytes())
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            if ran.failed:
                connection.send_bytes(codec.encode(Failed(run.job, run.chunk, "raised")))
            else:
                connection.send_bytes(codec.encode(Done(run.job, run.chunk, ran.seconds)))
            connection.send_bytes(ran.payload)


def _own_randomness() -> None:
    """All slots are copies of one process: give numpy's global generator a seed of its own, as `random` has."""
    if "numpy" in sys.modules:
        import numpy as np

        np.random.seed()


def _end_with_parent(descriptor: int) -> None:
    """End this process, and whatever its tasks started, at once when the parent is gone."""
    poll = select.poll()
    poll.register(descriptor, 0)  # nothing but the hang-up, which cannot be turned off
    poll.poll()
    os.killpg(0, signal.SIGKILL)
