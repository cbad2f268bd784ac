"""Real processes for the engines: a broker and a worker, or a Dask scheduler and its workers."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil

CHORES = Path(__file__).parents[1] / "chores"
START = 60.0
"""Seconds that a start may take on a busy machine."""


class Process:
    """A process of a cluster, and what it printed; it is in a process group of its own, which ends with it."""

    def __init__(self, *command: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | environment,
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait for a line that matches."""

        def found() -> re.Match[str] | None:
            return next((match for line in self._lines if (match := re.search(pattern, line))), None)

        with self._news:
            self._news.wait_for(lambda: found() or self.process.poll() is not None, START)
            match = found()
        assert match is not None, f"{pattern!r} was not printed:\n{''.join(self._lines)}"
        return match

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, and what it started."""
        self.process.send_signal(number)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(15)
            self._reader.join(15)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()


@contextmanager
def bus(directory: Path) -> Iterator[str]:
    """Start a broker and a worker of two slots; give the address of the bus."""
    address = f"ipc://{directory}/bus"
    worker = ("databench", "worker", str(CHORES), "--bus", address, "--slots", "2")
    with Process("databench", "broker", "--bus", address), Process(*worker) as process:
        process.expect("ready")
        yield address


class DaskCluster:
    """A scheduler and two workers of one thread each, which a nanny starts again when they die."""

    def __init__(self, allowed_failures: int = 0) -> None:
        self._environment = {
            "DATABENCH_ANALYSES": str(CHORES),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures),
            "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "forkserver",
        }
        self.scheduler = self.start_scheduler(0)
        self.port = int(self.scheduler.expect(r"Scheduler at: +tcp://127\.0\.0\.1:(\d+)")[1])
        self.address = f"dask://127.0.0.1:{self.port}"
        self.workers = [self.start_worker()]

    def start_scheduler(self, port: int) -> Process:
        """Start a scheduler on this port."""
        where = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        return Process("distributed.cli.dask_scheduler", *where, **self._environment)

    def start_worker(self) -> Process:
        """Start two workers."""
        options = (
            "--nworkers",
            "2",
            "--nthreads",
            "1",
            "--host",
            "127.0.0.1",
            "--no-dashboard",
            "--death-timeout",
            "60",
        )
        address = f"tcp://127.0.0.1:{self.port}"
        return Process("distributed.cli.dask_worker", address, *options, **self._environment)

    def kill(self, pid: int) -> None:
        """Kill a worker, which its nanny starts again."""
        process = psutil.Process(pid)
        process.kill()
        psutil.wait_procs([process], START)

    def restart(self) -> None:
        """Kill the scheduler and the workers, and start them again at the same address."""
        for process in (self.scheduler, *self.workers):
            process.end(signal.SIGKILL)
        self.scheduler = self.start_scheduler(self.port)
        self.scheduler.expect("Scheduler at:")
        self.workers = [self.start_worker()]

    def close(self) -> None:
        """End all of it."""
        for process in (*self.workers, self.scheduler):
            process.end()
