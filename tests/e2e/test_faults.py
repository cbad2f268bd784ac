"""Services that die, and how `databench` starts, reloads and stops."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from databench.bus.address import free_ports
from databench.testing import Page
from tests.e2e.server import START, Server, eventually, reattached


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_everything_quietly_and_leaves_no_process(number: signal.Signals) -> None:
    with Server() as server:
        async with Page(server.url, "probe") as page, Page(server.url, "probe") as other:
            await page.emit("compute")
            await other.emit("nap", [60.0] * 4)
            assert server.stop(number) == 0
        assert server.left_over() == []
    assert "Traceback" not in server.output.partition("  http://")[2]


def test_a_stop_before_there_was_any_work_is_quiet_too() -> None:
    with Server() as server:
        assert server.stop(signal.SIGINT) == 0
    assert "ERROR" not in server.output.partition("  http://")[2]


async def test_nothing_outlives_a_killed_supervisor(own_server: Server) -> None:
    async with Page(own_server.url, "probe") as page:
        await page.emit("nap", [60.0] * 4)
        own_server.stop(signal.SIGKILL)
    assert own_server.left_over() == []


async def test_a_killed_runner_is_started_again_and_pages_begin_anew(own_server: Server) -> None:
    async with Page(own_server.url, "probe") as page:
        before = (await page.receive("hello")).payload["pid"]
        own_server.service("runner").kill()
        assert (await page.closed())[0] == 1012
        await reattached(page)
        assert not page.resumed
        assert (await page.receive("hello")).payload["pid"] != before


async def test_a_killed_gateway_costs_no_signal(own_server: Server) -> None:
    page = Page(own_server.url, "probe")
    await page.attach()
    await page.emit("count slowly", 300)
    await page.receive("number")
    own_server.service("gateway").kill()
    await page.closed()
    # With --port 0 the gateway comes back on another port.
    eventually(lambda: own_server.output.count("gateway    INFO     ready") == 2)
    page.address = page.address.replace(own_server.url.replace("http", "ws"), own_server.gateway_address())
    await reattached(page)
    assert page.resumed
    while (await page.receive("number")).payload != 299:
        pass
    assert [signal.payload for signal in page.log if signal.name == "number"] == list(range(300))
    await page.socket.close()


async def test_a_killed_broker_costs_no_signal_and_no_chunk(own_server: Server) -> None:
    async with Page(own_server.url, "probe") as page:
        await page.emit("count slowly", 300)
        await page.emit("nap", [0.2] * 10)
        await page.receive("number")
        own_server.service("broker").kill()
        await page.closed()
        await reattached(page)
        assert page.resumed
        while len(page.log) < 1 + 300 + 10 + 1:
            await page.receive()
        assert [signal.payload for signal in page.log if signal.name == "number"] == list(range(300))
        assert page.log[-1].name == "rested" or any(signal.name == "rested" for signal in page.log)
    own_server.expect("runner .* lost the broker")


def test_without_a_broker_a_service_says_that_it_waits(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "databench", "gateway", "--port", "0", "--bus", f"ipc://{tmp_path}/bus"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "the broker is not there yet" in process.stderr.readline()
        process.terminate()
        assert process.wait(START) == 0


def run(
    *arguments: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command, env = [sys.executable, "-m", "databench", *arguments], {**os.environ, **(environment or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd, env=env, check=False)


def test_a_port_in_use_is_named_and_another_suggested(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(str(folder), "--port", str(port))
    assert ended.returncode == 2
    assert f"port {port} on 127.0.0.1 is in use: choose another with --port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_missing_folder_is_named_and_the_gallery_offered(tmp_path: Path) -> None:
    ended = run(cwd=tmp_path)
    assert ended.returncode == 2
    assert f"there is no folder {tmp_path / 'analyses'}" in ended.stderr
    assert "databench --gallery" in ended.stderr


def test_the_analyses_of_a_folder_are_listed() -> None:
    ended = run("list", str(Path(__file__).parent / "probes"))
    assert ended.returncode == 1
    assert "probe" in ended.stdout
    assert "broken: not loaded, ModuleNotFoundError" in ended.stderr


def test_health_asks_the_service_itself(server: Server) -> None:
    port = server.url.rpartition(":")[2]
    assert run("health", "gateway", "--port", port).returncode == 0
    free = free_ports()
    ended = run("health", "gateway", "--port", str(free))
    assert ended.returncode == 1
    assert f"no gateway answers on port {free}" in ended.stderr


@pytest.mark.parametrize("name", ["broker", "gateway", "runner", "worker-1"])
def test_health_without_options_takes_those_of_the_service(server: Server, name: str) -> None:
    own = {key: value for key, value in server.service(name).environ().items() if key.startswith("DATABENCH_")}
    own["DATABENCH_PORT"] = server.url.rpartition(":")[2]
    ended = run("health", name.partition("-")[0], environment=own)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("gateway", "no gateway answers on port 1: "),
        ("runner", "no runner of this machine answers at tcp://127.0.0.1:1"),
    ],
)
def test_health_without_options_says_in_one_line_what_is_missing(kind: str, message: str) -> None:
    ended = run("health", kind, environment={"DATABENCH_PORT": "1", "DATABENCH_BUS": "tcp://127.0.0.1:1"})
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"databench: {message}")
    assert ended.stderr.count("\n") == 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small folder of analyses that a test may edit."""
    folder = tmp_path / "lively"
    (folder / "templates").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "one.py").write_text(source("before"))
    (folder / "templates" / "one.html").write_text('{% extends "base.html" %}{% block content %}old{% endblock %}')
    return folder


def source(text: str) -> str:
    return (
        "import databench\n"
        'one = databench.Analysis("one", __name__)\n'
        '@one.signals.on("connect")\n'
        "async def greet():\n"
        f"    one.signals.emit('hello', {text!r})\n"
    )


async def test_an_edited_analysis_is_loaded_and_its_open_pages_load_again(folder: Path) -> None:
    with Server(folder) as server:
        async with Page(server.url, "one") as page:
            assert (await page.receive("hello")).payload == "before"
            (folder / "one.py").write_text(source("after"))
            assert (await page.closed(within=START))[0] == 1012
            assert page.reload_reason
            await reattached(page)
            assert (await page.receive("hello")).payload == "after"


async def body(url: str) -> str:
    async with httpx.AsyncClient() as client:
        return (await client.get(url)).text


async def test_an_edited_page_is_shown_and_open_ones_load_again(folder: Path) -> None:
    with Server(folder) as server:
        async with Page(server.url, "one") as page:
            page_file = folder / "templates" / "one.html"
            page_file.write_text(page_file.read_text().replace("old", "new"))
            await page.reloaded(within=START)
        assert "new" in await body(f"{server.url}/one/")


def test_without_reload_pages_tell_nothing_of_their_faults(folder: Path) -> None:
    with Server(folder, "--no-reload") as server:
        (folder / "templates" / "one.html").write_text("{% broken")
        page = httpx.get(f"{server.url}/one/")
        assert page.status_code == 500
        assert "Traceback" not in page.text
