"""Processes that are measured: their ports, starts and ends. Needs only the standard library: peers import it too."""

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 30.0
"""Seconds that a start may take."""
LOOK = 0.05
"""Seconds between two looks whether it has started."""


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    """Wait for something outside of this process; raises TimeoutError, which says for what, where it takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE:g} s: {what}")
        time.sleep(LOOK)


def wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until a process listens on its port; raises RuntimeError where it ends, TimeoutError where it does not."""

    def listens() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(f"{process.args!r} listens", listens)


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process in order; one that does not is killed."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def parent_of(process: int) -> int:
    """Return the process that has started this one (Linux only)."""
    status = Path(f"/proc/{process}/stat").read_text()
    return int(status.rpartition(")")[2].split()[1])
