"""Checks docker-compose.yml on a real engine, through the published port and a real browser; prints figures.

All services get healthy, slowpi's chunks are seen on every worker, a run outlives a killed worker, and all
stop in time. Everything is removed afterwards, whatever happens.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
PROJECT = "databench-check"
CHROMIUM_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
GRACE = 10
"""Seconds in which all services have to stop."""


class CheckError(Exception):
    """Something is not as it should be."""


class Compose:
    """`docker compose` on this project, with a port of its own."""

    def __init__(self, port: int) -> None:
        self._environment = {**os.environ, "PORT": str(port)}

    def __call__(self, *arguments: str) -> str:
        command = ["docker", "compose", "--project-name", PROJECT, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode:
            raise CheckError(f"{' '.join(command)}: {done.stderr[-3000:]}")
        return done.stdout

    def containers(self) -> list[dict[str, Any]]:
        """Return all containers, running or not."""
        return [json.loads(line) for line in self("ps", "--all", "--format", "json").splitlines()]


def docker(*arguments: str) -> str:
    """Run a command of the engine."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def wait_for(what: str, seconds: float, holds: Callable[[], bool]) -> float:
    """Ask until it holds; return the seconds that took."""
    start = time.monotonic()
    while not holds():
        if time.monotonic() - start > seconds:
            raise CheckError(f"after {seconds:.0f} s still waiting: {what}")
        time.sleep(0.2)
    return time.monotonic() - start


def answers(url: str) -> bool:
    """Whether the URL answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def slowpi(url: str) -> Iterator[Page]:
    """Open slowpi's page in Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_FLAGS.split(), headless=True
        )
        page = browser.new_page()
        page.goto(f"{url}/slowpi/")
        yield page
        browser.close()


def wait_done(page: Page, count: int) -> None:
    """Return when that many chunks are shown as done."""
    page.wait_for_function("count => document.querySelector('#progress').value >= count", arg=count, timeout=60_000)


def chunks(page: Page) -> dict[str, int]:
    """Return the chunks of each worker, as the page shows them."""
    rows = page.locator("#workers tr").all()
    return {row.locator("td").nth(0).inner_text(): int(row.locator("td").nth(1).inner_text()) for row in rows}


def check_slowpi(url: str, workers: int, figure: Callable[[str, object], None]) -> None:
    """See chunks on all workers; then kill one of them during a run that has to end well."""
    with slowpi(url) as page:
        wait_done(page, 100)
        page.locator("#run").click()
        page.wait_for_function("document.querySelector('#run').disabled")
        wait_done(page, 100)
        seen = chunks(page)
        figure("slowpi, seconds", page.locator("[data-signal='status:seconds']").inner_text())
        figure("chunks of each worker", " ".join(str(count) for count in seen.values()))
        if len(seen) != workers or sum(seen.values()) != 100:
            raise CheckError(f"expected 100 chunks on {workers} workers: {seen}")

        page.locator("#run").click()
        page.wait_for_function("document.querySelector('#run').disabled")
        wait_done(page, 20)
        victim = docker("ps", "-q", "-f", f"label=com.docker.compose.project={PROJECT}", "-f", "name=worker-2")
        docker("kill", victim)
        at = page.locator("[data-signal='status:done']").inner_text()
        wait_done(page, 100)
        seen = chunks(page)
        figure("one worker killed after", f"{at} chunks")
        figure("slowpi then, seconds", page.locator("[data-signal='status:seconds']").inner_text())
        figure("chunks of each worker", " ".join(str(count) for count in seen.values()))
        if sum(seen.values()) != 100:
            raise CheckError(f"expected 100 chunks in spite of the killed worker: {seen}")


def check_up(compose: Compose, url: str, workers: int, figure: Callable[[str, object], None]) -> None:
    """Bring all services up and wait until they say that they are healthy."""
    start = time.monotonic()
    compose("up", "--build", "--detach", "--scale", f"worker={workers}")
    figure("docker compose up --build, seconds", f"{time.monotonic() - start:.1f}")
    figure("ready after another, seconds", f"{wait_for('/readyz', 120, lambda: answers(f'{url}/readyz')):.1f}")

    def healthy() -> bool:
        return all(container["Health"] == "healthy" for container in compose.containers())

    figure("all healthy after another, seconds", f"{wait_for('all healthy', 120, healthy):.1f}")
    figure("image, MB", round(int(docker("image", "inspect", "-f", "{{.Size}}", "databench")) / 1e6))
    names = [container["Name"] for container in compose.containers()]
    for line in sorted(docker("stats", "--no-stream", "--format", "{{.Name}}: {{.MemUsage}}", *names).splitlines()):
        name, _, memory = line.partition(": ")
        figure(f"memory of {name.removeprefix(PROJECT + '-')}", memory.partition(" / ")[0])


def check_stop(compose: Compose, figure: Callable[[str, object], None]) -> None:
    """Stop all services: in time, and by themselves."""
    running = {container["Name"] for container in compose.containers() if container["State"] == "running"}
    start = time.monotonic()
    compose("stop")
    seconds = time.monotonic() - start
    figure("docker compose stop, seconds", f"{seconds:.1f}")
    codes = {container["Name"]: container["ExitCode"] for container in compose.containers()}
    figure("exit codes", " ".join(str(codes[name]) for name in sorted(running)))
    if seconds > GRACE or any(codes[name] for name in running):
        raise CheckError(f"not all services stopped cleanly: {seconds:.1f} s, {codes}")


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Run all checks; exit with 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--port", type=int, default=free_port(), help="published port; a free one by default")
    options = parser.parse_args()
    compose = Compose(options.port)
    url = f"http://127.0.0.1:{options.port}"

    def figure(what: str, value: object) -> None:
        sys.stdout.write(f"{what:<40} {value}\n")
        sys.stdout.flush()

    try:
        check_up(compose, url, options.workers, figure)
        check_slowpi(url, options.workers, figure)
        check_stop(compose, figure)
    except CheckError as failure:
        sys.stderr.write(f"\nFAILED: {failure}\n\n{compose('logs', '--tail', '30')}\n")
        return 1
    finally:
        compose("down", "--volumes", "--timeout", "2")
    sys.stdout.write("all well\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
