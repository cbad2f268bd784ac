"""Connections that drop and services that die while a page is open."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from playwright.sync_api import expect

from tests.e2e.browser.conftest import ANALYSES
from tests.e2e.browser.tabs import Tabs, number, shown
from tests.e2e.server import Server

REFUSED = r"WebSocket connection to .* failed"


@pytest.fixture
def fragile() -> Iterator[Server]:
    """A gallery of its own to be harmed, on a port that its gateway comes back to."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with Server(ANALYSES, "--workers", "1", "--slots", "1", "--port", str(port)) as running:
        yield running


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
    expect(draws).to_have_text(re.compile(r"^\d00$"))
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
    counted = [number(text) for text in shown(page, "status:draws")]
    assert counted == sorted(counted)
    expect(page.locator("#square circle")).to_have_count(10_000)
    assert not any("new session" in text for text in shown(page, "connection"))
    assert [warning for warning in tabs.warnings if "lost" in warning] == []


def test_a_killed_runner_is_told_and_the_page_begins_anew(tabs: Tabs, fragile: Server) -> None:
    tabs.expect_error(REFUSED)
    page = tabs.open("/simplepi/", home=fragile.url)
    draws = page.locator("[data-signal='status:draws']")
    expect(draws).to_have_text(re.compile(r"^1,\d00$"))
    fragile.service("runner").kill()
    status = page.locator(".databench-status p")
    expect(status).to_have_text("The analysis was restarted: this is a new session.")
    expect(draws).to_have_text(re.compile(r"^\d00$"))
    expect(draws).to_have_text("10,000")
