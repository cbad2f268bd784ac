"""What holds for every page: phones, light and dark, and what assistive technology needs."""

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.browser.tabs import Tabs

READY = {
    "/": ".cards img",
    "/simplepi/": "#square circle",
    "/mpld3pi/": "#histograms svg.mpld3-figure",
    "/mpld3PointLabel/": "#fractions svg.mpld3-figure",
    "/mpld3Drag/": "#figure svg.mpld3-figure",
    "/slowpi/": "#workers tr",
    "/poolpi/": "#necks td",
    "/rqpi/": "#missing:not(:empty)",
    "/celerypi/": "#missing:not(:empty)",
    "/nothing/": ".cards img",
}
"""Every kind of page, and what is there once it is complete."""

TOO_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map((element) => `${element.tagName}.${element.className} of ${element.parentElement.tagName}`).slice(0, 5)"""

COLORS = """() => {
  const luminance = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const { color } = getComputedStyle(document.body);
  const { backgroundColor } = getComputedStyle(document.documentElement);
  const [light, dark] = [luminance(color), luminance(backgroundColor)].sort((a, b) => b - a);
  return { ground: luminance(backgroundColor), contrast: (light + 0.05) / (dark + 0.05) };
}"""

PROBLEMS = """() => {
  const found = [];
  const count = (selector, wanted) => {
    const { length } = document.querySelectorAll(selector);
    if (length !== wanted) found.push(`${length} times ${selector}`);
  };
  count('h1', 1);
  count('main', 1);
  count('html[lang]:not([lang=""])', 1);
  count('img:not([alt])', 0);
  count('svg[role=img]:not([aria-label])', 0);
  for (const element of document.querySelectorAll('a, button, [role=button]')) {
    if (!(element.textContent.trim() || element.getAttribute('aria-label'))) found.push(element.outerHTML);
  }
  return found;
}"""


def opened(tabs: Tabs, path: str, width: int = 1280) -> Page:
    tabs.expect_error("404.*")
    page = tabs.open(path, width=width)
    expect(page.locator(READY[path]).first).to_be_attached()
    expect(page.locator("mjx-container").first).to_be_attached()
    return page


@pytest.mark.parametrize("path", READY)
def test_nothing_is_wider_than_a_phone(tabs: Tabs, path: str) -> None:
    page = opened(tabs, path, width=390)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, page.evaluate(TOO_WIDE)


@pytest.mark.parametrize("path", READY)
def test_every_page_is_fit_for_assistive_technology(tabs: Tabs, path: str) -> None:
    page = opened(tabs, path)
    assert page.evaluate(PROBLEMS) == []


def test_pages_are_light_or_dark_as_the_visitor_prefers(tabs: Tabs) -> None:
    light = tabs.open("/", scheme="light").evaluate(COLORS)
    dark = tabs.open("/", scheme="dark").evaluate(COLORS)
    assert light["ground"] > 0.8
    assert dark["ground"] < 0.1
    assert min(light["contrast"], dark["contrast"]) >= 7
