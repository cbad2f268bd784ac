"""Ports of 127.0.0.1 for servers that are measured. Needs only the standard library: peers import it too."""

import socket
import subprocess
import time
from contextlib import suppress

PATIENCE = 30.0
"""Seconds that a start may take."""


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until a process listens on its port; raises RuntimeError where it ends or takes too long."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen")
