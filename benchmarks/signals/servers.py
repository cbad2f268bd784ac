"""Starts and ends the server of a peer."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.signals import environments
from tests.e2e.server import Server

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
"""Seconds that a start may take."""


@dataclass(frozen=True)
class Peer:
    """A peer: how it is called, the protocol it speaks, and the cases that it has no part in."""

    title: str
    protocol: str
    without: frozenset[str] = frozenset()


DATABENCH = "databench"
PEERS = {
    "raw": Peer("raw WebSocket", "raw", frozenset({"threads"})),
    "chain": Peer("bare chain", "chain", frozenset({"computing", "disconnect", "pressure", "idle"})),
    "python_socketio": Peer("python-socketio", "socketio", frozenset({"threads"})),
    "flask_socketio": Peer("Flask-SocketIO", "socketio"),
    DATABENCH: Peer("**Databench**", "databench"),
}


@contextmanager
def running(peer: str) -> Iterator[tuple[int, int]]:
    """Run the server of a peer; yields its port and the id of its (topmost) process."""
    if peer == DATABENCH:
        # The analysis and the peers share `workload`: the runner, too, is to find this package.
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        if str(ROOT) not in paths:
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [*paths, str(ROOT)]))
        with Server(Path(__file__).parent / "handlers", "--no-reload", "--workers", "0") as server:
            port = urlsplit(server.url).port
            assert port is not None
            yield port, server.process.pid
        return
    port = _free_port()
    # The bare chain is made of what Databench is made of, in the same versions.
    python = str(environments.python(peer)) if peer in environments.PINNED else sys.executable
    with tempfile.TemporaryDirectory() as directory:
        command = [python, "-m", f"benchmarks.signals.peers.{peer}", str(port), directory]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(process, port)
            yield port, process.pid
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen")
