"""Starts and ends the server of a peer."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import environments
from benchmarks.processes import free_port, wait_for
from benchmarks.rounds import DATABENCH
from benchmarks.serving import ROOT, serving

UVICORN = ("uvicorn==0.54.0", "websockets==17.4", "msgpack==1.2.4")
SOCKETIO = ("python-socketio==5.18.1", "python-engineio==4.15.1", "simple-websocket==1.1.0")


@dataclass(frozen=True)
class Peer:
    """A peer: how it is called, the protocol it speaks, and the cases that it has no part in."""

    title: str
    protocol: str
    without: frozenset[str] = frozenset()
    pinned: tuple[str, ...] = ()
    """What is installed for it; nothing where it is made of what Databench is made of, in the same versions."""


# uvicorn and websockets are those that Databench's gateway has.
PEERS = {
    "raw": Peer("raw WebSocket", "raw", frozenset({"threads"}), ("starlette==1.10.0", *UVICORN)),
    "chain": Peer("bare chain", "chain", frozenset({"computing", "disconnect", "pressure", "idle"})),
    "python_socketio": Peer("python-socketio", "socketio", frozenset({"threads"}), (*SOCKETIO, *UVICORN)),
    "flask_socketio": Peer(
        "Flask-SocketIO", "socketio", pinned=(*SOCKETIO, "flask-socketio==5.7.0", "flask==3.1.3", "werkzeug==3.1.9")
    ),
    DATABENCH: Peer("**Databench**", "databench"),
}


def python(peer: str) -> str:
    """Return the interpreter that runs a peer; raises UnavailableError where what it needs cannot be installed."""
    pinned = PEERS[peer].pinned
    return str(environments.python(peer, pinned)) if pinned else sys.executable


@contextmanager
def running(peer: str) -> Iterator[tuple[int, int]]:
    """Run the server of a peer; yields its port and the id of its (topmost) process."""
    if peer == DATABENCH:
        with serving(Path(__file__).parent / "handlers", "--workers", "0") as server:
            port = urlsplit(server.url).port
            assert port is not None
            yield port, server.process.pid
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        command = [python(peer), "-m", f"benchmarks.signals.peers.{peer}", str(port), directory]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(process, port)
            yield port, process.pid
        finally:
            process.kill()
            process.wait()
