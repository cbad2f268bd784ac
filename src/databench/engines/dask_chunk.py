"""What runs on a Dask worker: one chunk of a task that is known by its import name.

Needs Databench and the analyses there, and nothing of this process: it is called with text and bytes only.
"""

import importlib
import os
import threading
from pathlib import Path

from databench.loading import load
from databench.performing import Ran, perform
from databench.tasks import known
from databench.wire.chunks import Failure

ANALYSES = "DATABENCH_ANALYSES"
"""Environment variable of Dask's workers: the folder with the analyses."""

_importing = threading.Lock()


def run_chunk(task: str, payload: bytes, timeout: float) -> tuple[str, float, bytes]:
    """Run a chunk; return `done`, `raised` or `timeout`, the seconds that it took, and the payload.

    A thread cannot be ended: what takes longer than `timeout` (0 for no limit) goes on in the background.
    """
    try:
        _import(task)
    except Exception as error:
        return "raised", 0.0, _not_importable(task, error).to_bytes()
    if not timeout:
        return _outcome(perform(task, payload))
    ran: list[Ran] = []
    thread = threading.Thread(target=lambda: ran.append(perform(task, payload)), daemon=True)
    thread.start()
    thread.join(timeout)
    if not ran:
        failure = Failure(None, "TimeoutError", f"it took longer than {timeout:g} s", "")
        return "timeout", timeout, failure.to_bytes()
    return _outcome(ran[0])


def _outcome(ran: Ran) -> tuple[str, float, bytes]:
    return "raised" if ran.failed else "done", ran.seconds, ran.payload


def _import(task: str) -> None:
    """Have the task's module imported: all analyses as a worker has them, or else this module alone."""
    with _importing:
        if known(task) is None and (folder := os.environ.get(ANALYSES)):
            load(Path(folder))
        if known(task) is None:
            importlib.import_module(task.partition(":")[0])


def _not_importable(task: str, error: Exception) -> Failure:
    message = (
        f"a Dask worker cannot import the module of the task {task} ({type(error).__name__}: {error}); "
        f"set {ANALYSES} there to the folder with the analyses"
    )
    return Failure(None, "AnalysisError", message, f"AnalysisError: {message}\n")
