"""Connections that drop and services that die while a page is open."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from playwright.sync_api import expect

from databench.bus.address import free_ports
from tests.e2e.browser.conftest import ANALYSES
from tests.e2e.browser.tabs import Tabs, number, reach, shown
from tests.e2e.server import Server

AT_WORK = "history.at(-1).draws >= 500 && history.at(-1).draws < 10_000"
BEGAN_ANEW = """() => {
  const draws = __shown['status:draws'].map((text) => Number(text.replaceAll(',', '')));
  return draws.some((value, i) => value < draws[i - 1]);
}"""
OF_ANOTHER_VERSION = """
let connections = 0;
globalThis.WebSocket = class extends WebSocket {
  constructor(url, subprotocol) {
    super(url, connections++ ? 'databench.0' : subprotocol);
  }
};
"""
"""From its second connection on a page speaks what the server does not, as if that had been replaced by another one."""
REFUSED = r"WebSocket connection to .* failed"


@pytest.fixture(scope="module")
def fragile() -> Iterator[Server]:
    """A gallery of its own to be harmed, as people see it, on a port that its gateway comes back to."""
    port = str(free_ports())
    with Server(ANALYSES, "--workers", "1", "--slots", "1", "--no-reload", "--port", port) as running:
        yield running
    assert "Traceback" not in running.output, running.output


@contextmanager
def nothing_restarted(server: Server) -> Iterator[None]:
    """Keep the supervisor from starting again what dies."""
    supervisor = psutil.Process(server.process.pid)
    supervisor.suspend()
    try:
        yield
    finally:
        supervisor.resume()


def test_a_lost_connection_is_shown_and_costs_nothing(tabs: Tabs, fragile: Server) -> None:
    tabs.expect_error(REFUSED)
    page = tabs.open("/simplepi/", home=fragile.url)
    draws = page.locator("[data-signal='status:draws']")
    page.wait_for_load_state("networkidle")  # the fonts of the formulas come late
    # However late they came: this is about another run.
    expect(draws).to_have_text("10,000")
    before_this_run = len(shown(page, "status:draws"))
    page.locator("#again").click()
    page.wait_for_function(AT_WORK)
    status = page.locator(".databench-status p")
    gateway = fragile.service("gateway")
    with nothing_restarted(fragile):
        gateway.kill()
        expect(status).to_be_visible()
        expect(status).to_contain_text("Connection lost. Trying again in")
        before = number(draws.inner_text())
        assert before < 10_000
    expect(draws).to_have_text("10,000")
    expect(status).to_have_count(0)
    counted = [number(text) for text in shown(page, "status:draws")[before_this_run:]]
    assert counted == sorted(counted)
    expect(page.locator("#square circle")).to_have_count(10_000)
    assert not any("new session" in text for text in shown(page, "connection"))
    assert [warning for warning in tabs.warnings if "lost" in warning] == []


def test_a_page_of_another_version_is_told_to_load_again(tabs: Tabs, fragile: Server) -> None:
    tabs.expect_error(REFUSED)
    page = tabs.open("/", home=fragile.url)
    page.add_init_script(OF_ANOTHER_VERSION)
    page.goto(f"{fragile.url}/simplepi/")
    reach(page, "status:draws", 500)
    fragile.service("gateway").kill()
    expect(page.locator(".databench-status p")).to_have_text("This page is out of date: reload it.")


def test_a_killed_runner_is_told_and_the_page_begins_anew(tabs: Tabs, fragile: Server) -> None:
    tabs.expect_error(REFUSED)
    page = tabs.open("/simplepi/", home=fragile.url)
    reach(page, "status:draws", 1_000)
    fragile.service("runner").kill()
    status = page.locator(".databench-status p")
    expect(status).to_have_text("The session is over: the process that ran this analysis is gone. This is a new one.")
    page.wait_for_function(BEGAN_ANEW)
    reach(page, "status:draws", 2_000)
