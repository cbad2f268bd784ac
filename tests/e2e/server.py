"""`databench` as a process of its own, for the end-to-end tests. Knows only what a user sees, and pids."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil
from websockets.exceptions import ConnectionClosed

from databench.testing import Page

PROBES = Path(__file__).parent / "probes"
START = 60.0
"""Seconds that a start may take on a busy machine."""


class Process:
    """`databench` with some arguments, as a process of its own: what it prints can be waited for."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None, keep: Sequence[int] = ()) -> None:
        """`keep`: file descriptors that the process inherits."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "databench", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
            pass_fds=keep,
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
                    self._lines.append(line.rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return "\n".join(self._lines)

    def expect(self, pattern: str, times: int = 1) -> re.Match[str]:
        """Wait for the n-th line that matches."""

        def found() -> re.Match[str] | None:
            matches = [match for line in self._lines if (match := re.search(pattern, line))]
            return matches[times - 1] if len(matches) >= times else None

        with self._news:
            self._news.wait_for(lambda: found() or self.process.poll() is not None, START)
            match = found()
        assert match is not None, f"{pattern!r} was not printed {times} times:\n{self.output}"
        return match

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(START)
        self._reader.join(START)
        return code


class Server(Process):
    """A running `databench`: its URL, what it printed, and its processes."""

    def __init__(self, analyses: Path = PROBES, *options: str, environment: Mapping[str, str] | None = None) -> None:
        super().__init__("serve", str(analyses), "--port", "0", *options, environment=environment)
        self.url = self.expect(r"^  (http://\S+)$").group(1)
        self.everybody = [psutil.Process(self.process.pid), *self._children()]

    def _children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def service(self, name: str) -> psutil.Process:
        """Return the process of a service, such as `runner` or `worker-1`."""
        for child in psutil.Process(self.process.pid).children():
            if child.environ().get("DATABENCH_NAME") == name:
                return child
        raise LookupError(f"no process runs {name}")

    def gateway_address(self) -> str:
        """Return where the gateway listens now, as a WebSocket URL: with `--port 0` each start has another port."""
        return f"ws://127.0.0.1:{listening_port(self.service('gateway'))}"

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal and return its exit code."""
        self.everybody += [child for child in self._children() if child not in self.everybody]
        return self.end(number)

    def left_over(self) -> list[psutil.Process]:
        """Return those of its processes that outlive it, after giving them time to end: 4 s are their own deadline."""
        return psutil.wait_procs(self.everybody, timeout=START / 2)[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.stop()
        for process in self.left_over():
            process.kill()


def listening_port(process: psutil.Process) -> int:
    """Return the TCP port on which a process listens."""
    connections = process.net_connections("tcp")
    return next(each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN)


def eventually(condition: Callable[[], bool], within: float = START) -> None:
    """Wait for something outside of this process to become true."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


async def reattached(page: Page) -> None:
    """Come back as the browser does: again and again."""
    while True:
        try:
            await page.attach()
        except (OSError, ConnectionClosed):
            await asyncio.sleep(0.02)  # who starts needs the processor
        else:
            return
