"""An environment for each peer under `.cache/bench`, so that none gets another's versions."""

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

PLACE = Path(__file__).parents[1] / ".cache" / "bench"


class UnavailableError(Exception):
    """A peer cannot be measured here; says why."""


def python(peer: str, pinned: Sequence[str]) -> Path:
    """Return the interpreter of a peer's environment, which is made where it is not up to date.

    `pinned` are requirements with their exact versions. Raises UnavailableError where they cannot be installed.
    """
    place = PLACE / peer
    stamp = place / "installed"
    interpreter = place / "bin" / "python"
    wanted = "\n".join((sys.version, *pinned))
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"Installing {', '.join(pinned)} into {place}", file=sys.stderr)  # noqa: T201
        venv.create(place, clear=True, with_pip=True)
        command = [str(interpreter), "-m", "pip", "-qq", "--disable-pip-version-check", "install", *pinned]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise UnavailableError(f"not installed: {last_line(done.stderr) or done.returncode}")
        stamp.write_text(wanted)
    return interpreter


def last_line(text: str) -> str:
    """Return the last line of what a process printed: its answer, or why it failed."""
    return text.strip().rpartition("\n")[2]
