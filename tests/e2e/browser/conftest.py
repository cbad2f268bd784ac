"""One Chromium and one gallery for all browser tests. They are synchronous, in a pytest process of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.browser.chromium import launch
from tests.e2e.browser.tabs import Tabs
from tests.e2e.queues import NOWHERE
from tests.e2e.server import Server

ANALYSES = Path(__file__).parents[3] / "analyses"

expect.set_options(timeout=40_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The one Chromium."""
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def gallery() -> Iterator[Server]:
    """The gallery, with one worker of four slots."""
    with Server(ANALYSES, "--workers", "1", "--slots", "4", environment=NOWHERE) as running:
        yield running
    assert "Traceback" not in running.output, running.output


@pytest.fixture
def tabs(browser: Browser, gallery: Server) -> Iterator[Tabs]:
    """Pages of the gallery; the test fails when something goes wrong in one of them."""
    opened = Tabs(browser, gallery.url)
    yield opened
    assert opened.close() == []
