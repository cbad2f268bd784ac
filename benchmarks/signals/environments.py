"""An environment for each peer, so that none gets another's versions."""

import subprocess
import sys
import venv
from pathlib import Path

PLACE = Path(__file__).parents[2] / ".cache" / "bench"

UVICORN = ("uvicorn==0.54.0", "websockets==17.4", "msgpack==1.2.4")
SOCKETIO = ("python-socketio==5.18.1", "python-engineio==4.15.1", "simple-websocket==1.1.0")
PINNED = {
    "raw": ("starlette==1.10.0", *UVICORN),
    "python_socketio": (*SOCKETIO, *UVICORN),
    "flask_socketio": (*SOCKETIO, "flask-socketio==5.7.0", "flask==3.1.3", "werkzeug==3.1.9"),
}
"""What is installed for each peer. uvicorn and websockets are those that Databench's gateway has."""


def python(peer: str) -> Path:
    """Return the interpreter of a peer's environment, which is made where it is not up to date."""
    place = PLACE / peer
    stamp = place / "installed"
    interpreter = place / "bin" / "python"
    pinned = "\n".join((sys.version, *PINNED[peer]))
    if not stamp.is_file() or stamp.read_text() != pinned:
        print(f"Installing {', '.join(PINNED[peer])} into {place}", file=sys.stderr)  # noqa: T201
        venv.create(place, clear=True, with_pip=True)
        command = [str(interpreter), "-m", "pip", "-qq", "--disable-pip-version-check", "install", *PINNED[peer]]
        subprocess.run(command, check=True)
        stamp.write_text(pinned)
    return interpreter
