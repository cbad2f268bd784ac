"""The gallery as a visitor sees it."""

import math
import re

import pytest
from playwright.sync_api import Locator, Page, expect
from psutil import Process

from tests.e2e.browser.tabs import Tabs, number, reach, shown
from tests.e2e.server import Server

RECORDS = [
    *("3/1 = 3.0000000", "13/4 = 3.2500000", "16/5 = 3.2000000", "19/6 = 3.1666667", "22/7 = 3.1428571"),
    *("179/57 = 3.1403509", "201/64 = 3.1406250", "223/71 = 3.1408451", "245/78 = 3.1410256", "267/85 = 3.1411765"),
    *("289/92 = 3.1413043", "311/99 = 3.1414141", "333/106 = 3.1415094", "355/113 = 3.1415929"),
]
"""The fractions that come closer than all before them."""

SWEPT = """() => {
  const thrown = __shown['shared:thrown'].map((text) => Number(text.replaceAll(',', '')));
  return thrown.some((value, i) => value < thrown[i - 1]);
}"""

COLORS = """() => {
  const needles = [...document.querySelectorAll('#floor g:last-child line')];
  return new Set(needles.map((needle) => needle.getAttribute('stroke'))).size === 2;
}"""


def middle(element: Locator) -> tuple[float, float]:
    """Return where the mouse has to point at, in the part of the page that is seen."""
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def signal(page: Page, name: str) -> Locator:
    return page.locator(f"[data-signal='{name}']")


def test_the_index_shows_every_analysis_with_its_picture_and_its_formulas(tabs: Tabs) -> None:
    page = tabs.open("/")
    cards = page.locator(".cards > li")
    expect(cards).to_have_count(7)
    page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    expect(cards.locator("img")).to_have_count(7)
    expect(page.locator("mjx-container").first).to_be_visible()
    assert "\\(" not in page.locator("main").inner_text()
    for name in ("mpld3Drag", "mpld3PointLabel", "mpld3pi", "simplepi", "slowpi", "together"):
        expect(cards.locator(f"a[href='/{name}/']")).to_have_count(1)


def test_simplepi_converges_before_the_eyes_of_the_visitor(tabs: Tabs) -> None:
    page = tabs.open("/simplepi/")
    expect(signal(page, "status:draws")).to_have_text("10,000")
    assert page.evaluate("history.length") == 100
    estimates = [number(text) for text in shown(page, "status:pi-estimate")]
    assert len(set(estimates)) > 5  # of those that come together only the last is seen
    assert math.isclose(estimates[-1], math.pi, abs_tol=0.1)
    draws = [number(text) for text in shown(page, "status:draws")]
    assert draws == sorted(draws)
    expect(page.locator("#square circle")).to_have_count(10_000)
    expect(page.locator(".description mjx-container").first).to_be_visible()
    assert "\\(" not in page.locator(".description").inner_text()


def test_two_tabs_compute_on_their_own(tabs: Tabs) -> None:
    one = tabs.open("/simplepi/")
    reach(one, "status:draws", 2_000)
    other = tabs.open("/simplepi/", beside=one)
    reach(other, "status:draws", 2_000)
    for page in (one, other):
        points, draws = page.evaluate("[$('#square circle').length, history.at(-1).draws]")
        assert points in (draws, draws + 100)  # points come just before their status
    first, second = (page.evaluate("history.slice(0, 20)") for page in (one, other))
    assert first[0]["draws"] == second[0]["draws"] == 100
    assert first != second


def test_histograms_of_matplotlib_update_and_leave_nothing_behind(tabs: Tabs) -> None:
    page = tabs.open("/mpld3pi/")
    bars = page.locator("#histograms svg.mpld3-figure .mpld3-axes .mpld3-path")
    reach(page, "status:estimates", 200)
    expect(bars).to_have_count(2)
    before = [bar.get_attribute("d") for bar in bars.all()]
    styles = page.locator("style").count()
    reach(page, "status:estimates", 2_500)
    after = [bar.get_attribute("d") for bar in bars.all()]
    assert len(shown(page, "status:estimates")) >= 5  # of those that come together only the last is seen
    assert before[0] != after[0]
    assert before[1] != after[1]
    expect(page.locator("svg.mpld3-figure")).to_have_count(1)
    assert page.locator("style").count() == styles


def test_every_point_tells_what_it_is_under_the_mouse(tabs: Tabs) -> None:
    page = tabs.open("/mpld3PointLabel/")
    tooltip = page.locator(".mpld3-tooltip-text").last
    best = page.locator("svg.mpld3-figure .mpld3-path[style*='#D9570A']")
    expect(best).to_have_count(len(RECORDS))
    expect(tooltip).to_be_hidden()
    for point, label in zip(best.all(), RECORDS, strict=True):
        page.mouse.move(*middle(point))
        expect(tooltip).to_have_text(label)
        expect(tooltip).to_be_visible()
    page.mouse.move(5, 5)
    expect(tooltip).to_be_hidden()


def test_a_dragged_point_moves_and_python_answers_with_the_new_curve(tabs: Tabs) -> None:
    page = tabs.open("/mpld3Drag/")
    length = signal(page, "curve:length")
    expect(length).to_have_text(re.compile(r"^1\.\d{4}$"))
    before = length.inner_text()
    markers = page.locator("svg.mpld3-figure [role=button]")
    expect(markers).to_have_count(5)
    curve = page.locator("svg.mpld3-figure .mpld3-path").first
    drawn = curve.get_attribute("d")
    point = markers.nth(2)
    x, y = middle(point)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 120, steps=10)
    page.mouse.up()
    expect(length).not_to_have_text(before)
    assert middle(point) == pytest.approx((x + 60, y + 120), abs=2)
    assert curve.get_attribute("d") != drawn


def naps(slots: list[Process]) -> list[int]:
    """Return how often each of these processes has waited for something."""
    return [slot.num_ctx_switches().voluntary for slot in slots]


def test_the_chunks_of_slowpi_are_done_by_the_workers_that_are_shown(tabs: Tabs, gallery: Server) -> None:
    [nursery] = gallery.service("worker-1").children()
    slots = nursery.children()
    before = naps(slots)
    page = tabs.open("/slowpi/")
    expect(signal(page, "status:done")).to_have_text("100")
    # Each had a chunk at least: in a chunk there are a hundred draws, and a nap before each.
    assert [after - once >= 100 for once, after in zip(before, naps(slots), strict=True)] == [True] * 4
    expect(page.locator("#progress")).to_have_js_property("position", 1)
    rows = page.locator("#workers tr").all()
    assert sum(int(row.locator("td").nth(1).inner_text()) for row in rows) == 100
    assert rows[0].locator("td").first.inner_text() == "worker-1"
    expect(page.locator("#chunks rect")).to_have_count(100)
    expect(page.locator("#chunks rect[fill='#e9edf2']")).to_have_count(0)
    page.locator("#run").click()
    expect(page.locator("#run")).to_be_disabled()
    expect(signal(page, "status:done")).not_to_have_text("100")
    reach(page, "status:done", 3)
    page.evaluate("databench.signals.emit('cancel', 'run')")
    bar = page.locator("#progress")
    expect(bar).to_have_attribute("data-ended", "cancelled")
    expect(bar).to_have_attribute("title", re.compile(r"^cancelled after \d+ of 100$"))
    assert 0 < bar.evaluate("bar => bar.position") < 1
    expect(page.locator("#run")).to_be_enabled()
    page.reload()
    expect(bar).to_have_attribute("data-ended", "cancelled")


def test_needles_are_thrown_together(tabs: Tabs) -> None:
    one = tabs.open("/together/")
    expect(signal(one, "shared:people")).to_have_text("1")
    slider = one.locator("[data-state='speed']")
    expect(slider).to_have_value("20")
    slider.fill("200")
    expect(signal(one, "state:speed")).to_have_text("200")
    other = tabs.open("/together/", beside=one)
    for page in (one, other):
        expect(signal(page, "shared:people")).to_have_text("2")
        reach(page, "shared:thrown", 300)
        page.wait_for_function("document.querySelectorAll('#floor g:last-child line').length > 100")
        page.wait_for_function(COLORS)  # everybody sees everybody's needles
        assert 2 < number(signal(page, "shared:pi").inner_text()) < 5
    # The other page has a slider of its own, and a value that is refused leaves no trace.
    expect(other.locator("[data-state='speed']")).to_have_value("20")
    tabs.expect_error("speed: Input should be less than or equal to 200")
    one.evaluate("databench.state.set('speed', 100000)")
    expect(slider).to_have_value("200")
    expect(signal(one, "state:speed")).to_have_text("200")
    other.get_by_role("button", name="Sweep").click()
    for page in (one, other):
        page.wait_for_function(SWEPT)


def test_a_pool_computes_a_picture_and_a_click_looks_closer(tabs: Tabs) -> None:
    page = tabs.open("/poolpi/")
    expect(signal(page, "state:done")).to_have_text("70")
    expect(page.locator("#pi")).to_have_text("3.141593")
    expect(page.locator("#progress")).to_have_js_property("position", 1)
    expect(page.locator("#neck")).to_be_visible()
    dark = page.evaluate("[...document.getElementById('set').getContext('2d').getImageData(300, 256, 1, 1).data]")
    assert dark == [0x12, 0x32, 0x4A, 255]
    page.locator("#set").click(position={"x": 40, "y": 40})
    page.wait_for_function("databench.state.get('span') === 1.3 && databench.state.get('done') === 70")
    expect(page.locator("#neck")).to_be_hidden()
    expect(page.locator("#log")).to_be_empty()


def test_what_is_not_there_is_told_with_what_is(tabs: Tabs) -> None:
    tabs.expect_error("404")
    page = tabs.open("/nothing/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    expect(page.locator(".description")).to_contain_text("/nothing/")
    page.locator(".cards a[href='/simplepi/']").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("π, the simple way")
