"""The pages of the analyses that compute by Redis Queue and by Celery, with the real servers."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser.conftest import ANALYSES
from tests.e2e.browser.tabs import Tabs, number
from tests.e2e.queues import Queues
from tests.e2e.server import Server


@pytest.fixture(scope="module")
def served(queues: Queues) -> Iterator[Server]:
    """The gallery, with both queues."""
    with Server(ANALYSES, "--no-reload", "--slots", "1", environment=queues.environment) as running:
        yield running
    assert "Traceback" not in running.output, running.output


@pytest.fixture
def tabs(browser: Browser, served: Server) -> Iterator[Tabs]:
    """Pages of that gallery."""
    opened = Tabs(browser, served.url)
    yield opened
    assert opened.close() == []


def test_the_bootstrap_of_a_pendulum_comes_from_redis_queue(tabs: Tabs) -> None:
    page = tabs.open("/rqpi/")
    for _ in range(2):
        expect(page.locator("[data-signal='state:drawn']")).to_have_text("10,000")
        expect(page.locator("#progress")).to_have_js_property("position", 1)
        expect(page.locator("#swings circle")).to_have_count(12)
        expect(page.locator("#swings path[d^='M45,355L']")).to_have_count(40)
        assert 2.7 < number(page.locator("[data-signal='state:pi']").inner_text()) < 3.6
        expect(page.locator("#missing")).to_be_hidden()
        page.get_by_role("button", name="Measure again").click()
        page.wait_for_function("databench.state.get('done') < 40")
    expect(page.locator("#log")).to_be_empty()


def test_random_walks_come_from_celery_and_can_be_stopped(tabs: Tabs) -> None:
    page = tabs.open("/celerypi/")
    expect(page.locator("[data-signal='state:walks']")).to_have_text("50,000")
    expect(page.locator("#walks path")).to_have_count(100)
    assert 3 < number(page.locator("[data-signal='state:pi']").inner_text()) < 3.3
    again = page.get_by_role("button", name="Walk again")
    again.click()
    expect(again).to_have_attribute("aria-busy", "true")
    page.get_by_role("button", name="Stop").click()
    expect(again).not_to_have_attribute("aria-busy", "true")
    assert page.evaluate("databench.state.get('done')") < 100
    expect(page.locator("#log")).to_be_empty()
