"""A Redis server that keeps nothing, for the queues among the peers."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.processes import free_port, wait_for

BINARY = "redis-server"


@contextmanager
def redis_server() -> Iterator[str]:
    """Run one on a free port of 127.0.0.1; yields its URL. Raises RuntimeError where there is none."""
    if shutil.which(BINARY) is None:
        raise RuntimeError(f"{BINARY} is not installed")
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", directory]
        command = [BINARY, "--port", str(port), *options]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_for(server, port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.kill()
            server.wait()
