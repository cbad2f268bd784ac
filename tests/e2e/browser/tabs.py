"""Tabs of a browser that remember what they have shown and what went wrong in them."""

import re
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response

RECORD = """
globalThis.__shown = {};
new MutationObserver((changes) => {
  for (const { target } of changes) {
    const near = target instanceof Element ? target : target.parentElement;
    const element = near?.closest('[data-signal], .databench-status');
    if (!element) continue;
    const texts = (__shown[element.dataset.signal ?? 'connection'] ??= []);
    if (texts.at(-1) !== element.textContent) texts.push(element.textContent);
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
"""
"""Keeps every text that an element wired to a signal, or the status of the connection, has shown."""

Scheme = Literal["light", "dark"]


def shown(page: Page, what: str) -> list[str]:
    """Return the texts that `[data-signal=what]` showed since the page was loaded; `connection` is the status."""
    texts: list[str] = page.evaluate("what => __shown[what] ?? []", what)
    return texts


def reach(page: Page, what: str, least: float) -> None:
    """Wait until `[data-signal=what]` shows a number that is not smaller; no frame is missed."""
    latest = "Number((__shown[what] ?? []).at(-1)?.replaceAll(',', ''))"
    page.wait_for_function(f"([what, least]) => {latest} >= least", arg=[what, least])


def number(text: str) -> float:
    """Return a number that a page shows."""
    return float(text.replace(",", ""))


class Tabs:
    """Opens pages of one server, each as a visitor of its own, and collects what no test wants to see."""

    def __init__(self, browser: Browser, home: str) -> None:
        self._browser = browser
        self._home = home
        self._contexts: list[BrowserContext] = []
        self._wrong: list[str] = []
        self._expected: list[str] = []
        self.warnings: list[str] = []

    def open(
        self, path: str, home: str = "", width: int = 1280, scheme: Scheme = "light", beside: Page | None = None
    ) -> Page:
        """Open a page, or one more tab of the visitor who has `beside` open."""
        context = beside.context if beside else self._visitor(width, scheme)
        page = context.new_page()
        home = home or self._home
        page.on("request", lambda request: self._requested(request, home))
        page.on("websocket", lambda socket: self._addressed(socket.url, home))
        page.goto(home + path)
        return page

    def expect_error(self, pattern: str) -> None:
        """Allow errors on the console that match."""
        self._expected.append(pattern)

    def close(self) -> list[str]:
        """Close all pages and return what went wrong in them."""
        for context in self._contexts:
            context.close()
        return [each for each in self._wrong if not any(re.search(pattern, each) for pattern in self._expected)]

    def _visitor(self, width: int, scheme: Scheme) -> BrowserContext:
        context = self._browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        context.set_default_timeout(40_000)
        context.add_init_script(RECORD)
        context.on("weberror", lambda error: self._wrong.append(f"uncaught: {error.error}"))
        context.on("console", self._said)
        context.on("response", self._answered)
        self._contexts.append(context)
        return context

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._wrong.append(f"console: {message.text}")
        elif message.type == "warning":
            self.warnings.append(message.text)

    def _requested(self, request: Request, home: str) -> None:
        if not request.url.startswith(("data:", "blob:")):
            self._addressed(request.url, home)

    def _addressed(self, url: str, home: str) -> None:
        if urlsplit(url).netloc != urlsplit(home).netloc:
            self._wrong.append(f"asked another server: {url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._wrong.append(f"status {response.status}: {response.url}")
