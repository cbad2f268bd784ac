"""What authors write: pages of their own, none at all, and changes while a page is open."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browser.tabs import Tabs
from tests.e2e.server import Server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workbench that tests may edit."""
    folder = tmp_path_factory.mktemp("authoring") / "workbench"
    shutil.copytree(Path(__file__).parent / "workbench", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def workbench(folder: Path) -> Iterator[Server]:
    """The server of the workbench."""
    with Server(folder, "--workers", "1", "--slots", "1") as running:
        yield running


@pytest.fixture
def tabs(browser: Browser, workbench: Server) -> Iterator[Tabs]:
    """Pages of the workbench."""
    opened = Tabs(browser, workbench.url)
    yield opened
    assert opened.close() == []


def test_attributes_send_signals_and_show_them(tabs: Tabs) -> None:
    page = tabs.open("/wired/")
    expect(page.locator("#sum")).to_have_text("0")
    page.get_by_role("button", name="Add 2").click()
    expect(page.locator("#sum")).to_have_text("2")
    page.get_by_role("button", name="Add 1,000").dblclick()
    expect(page.locator("#sum")).to_have_text("2,002")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#answer")).to_have_text('{"asked":null}')


def test_an_error_of_a_handler_is_in_the_log_and_the_page_lives_on(tabs: Tabs) -> None:
    tabs.expect_error("the analysis reports an error")
    page = tabs.open("/wired/")
    page.get_by_role("button", name="Fail").click()
    expect(page.locator("#log")).to_contain_text("ValueError: on purpose")
    page.get_by_role("button", name="Add 2").click()
    expect(page.locator("#sum")).to_have_text("2")


def test_the_client_works_as_a_module(tabs: Tabs) -> None:
    page = tabs.open("/modular/")
    page.get_by_role("button", name="Double").click()
    expect(page.locator("#doubled")).to_have_text("Float64Array 2,4,6")


def test_grid_lines_have_the_colour_that_matplotlib_gave_them(tabs: Tabs) -> None:
    page = tabs.open("/gridded/")
    lines = page.locator("#figure .mpld3-xgrid line, #figure .mpld3-ygrid line")
    expect(lines.first).to_be_attached()
    strokes = lines.evaluate_all("(lines) => lines.map((line) => getComputedStyle(line).stroke)")
    assert set(strokes) == {"rgb(204, 221, 238)"}


def test_an_analysis_without_a_page_gets_one_from_its_docstring(tabs: Tabs) -> None:
    page = tabs.open("/bare/")
    expect(page.get_by_role("heading", level=1)).to_have_text("bare")
    expect(page.locator(".description mjx-container")).to_have_count(1)
    expect(page.locator(".description em")).to_have_text("no page")
    expect(page.locator("#log")).to_contain_text("hello from bare")
    page.get_by_text("Source", exact=True).click()
    expect(page.locator("figure.source")).to_contain_text("bare.signals.emit")


def test_an_edited_analysis_loads_its_open_page_again(tabs: Tabs, folder: Path) -> None:
    page = tabs.open("/edited/")
    expect(page.locator("#word")).to_have_text("before")
    page.evaluate("globalThis.loadedBefore = true")
    module = folder / "edited.py"
    module.write_text(module.read_text().replace("before", "after"))
    expect(page.locator("#word")).to_have_text("after")
    assert page.evaluate("globalThis.loadedBefore") is None


def test_an_edited_template_loads_its_open_page_again(tabs: Tabs, folder: Path) -> None:
    page = tabs.open("/edited/")
    expect(page.locator("#title")).to_have_text("old")
    template = folder / "templates" / "edited.html"
    template.write_text(template.read_text().replace("old", "new"))
    expect(page.locator("#title")).to_have_text("new")
