"""Sessions as visitors meet them: loaded again, duplicated, shared, closed."""

from playwright.sync_api import expect

from tests.e2e.browser.tabs import Tabs, number, reach, shown


def test_a_page_that_is_loaded_again_finds_its_computation_where_it_is(tabs: Tabs) -> None:
    page = tabs.open("/simplepi/")
    reach(page, "status:draws", 2_000)
    page.evaluate("sessionStorage.length === 0 || (() => { throw new Error('the token lies about') })()")
    before = page.evaluate("history.map((status) => status['pi-estimate'])")
    page.reload()
    reach(page, "status:draws", 3_000)
    after = page.evaluate("history.map((status) => status['pi-estimate'])")
    assert after[: len(before)] == before, "it is the same session, told from its beginning"
    draws = [number(text) for text in shown(page, "status:draws")]
    assert draws == sorted(draws)
    expect(page.locator("[data-signal='status:draws']")).to_have_text("10,000")
    expect(page.locator("#square circle")).to_have_count(10_000)
    assert page.evaluate("sessionStorage.length") == 0


def test_a_page_that_is_left_and_come_back_to_goes_on_as_the_browser_kept_it(tabs: Tabs) -> None:
    tabs.expect_error("Page entered Back-Forward Cache")
    page = tabs.open("/simplepi/")
    reach(page, "status:draws", 500)
    page.evaluate("globalThis.kept = true")
    for path in ("/slowpi/", "/simplepi/", "/slowpi/", "/simplepi/"):
        if path == "/slowpi/":
            page.locator("header a").first.click()
            page.locator(f".cards a[href='{path}']").click()
            expect(page.locator("[data-signal='status:done']")).not_to_be_empty()
        else:
            page.go_back(wait_until="commit")
            page.go_back(wait_until="commit")
            assert page.evaluate("kept"), "the browser has not kept it"
            assert page.evaluate("Object.keys(sessionStorage).filter((key) => key.endsWith('simplepi'))") == []
            assert [text for text in shown(page, "connection") if "new session" in text] == []
    expect(page.locator("[data-signal='status:draws']")).to_have_text("10,000")
    expect(page.locator("#square circle")).to_have_count(10_000)
    draws = [number(text) for text in shown(page, "status:draws")]
    assert draws == sorted(draws)


def test_a_tab_opened_from_a_page_has_a_session_of_its_own(tabs: Tabs) -> None:
    page = tabs.open("/together/")
    expect(page.locator("[data-signal='shared:people']")).to_have_text("1")
    with page.context.expect_page() as opening:
        page.evaluate("void open(location.href)")  # the new tab gets a copy of the storage of this one
    expect(opening.value.locator("[data-signal='shared:people']")).to_have_text("2")
    expect(page.locator("[data-signal='shared:people']")).to_have_text("2")


def test_who_opens_a_share_link_sees_and_steers_the_same_session(tabs: Tabs) -> None:
    page = tabs.open("/together/")
    expect(page.locator("[data-signal='state:speed']")).to_have_text("20")
    link = page.evaluate("databench.shareLink()")
    path = link[link.index("/together/") :]
    assert "#databench=together:" in path
    guest = tabs.open(path)
    slider = guest.locator("[data-state='speed']")
    expect(slider).to_have_value("20")
    assert "databench=" not in guest.url
    slider.fill("150")
    for each in (page, guest):
        expect(each.locator("[data-signal='state:speed']")).to_have_text("150")
        expect(each.locator("[data-state='speed']")).to_have_value("150")
        expect(each.locator("[data-signal='shared:people']")).to_have_text("1")
    page.close()
    guest.locator("[data-state='speed']").fill("30")
    expect(guest.locator("[data-signal='state:speed']")).to_have_text("30")


def test_a_link_to_a_session_that_is_over_begins_a_new_one_and_says_so(tabs: Tabs) -> None:
    page = tabs.open("/together/")
    expect(page.locator("[data-signal='state:speed']")).to_have_text("20")
    link = page.evaluate("databench.shareLink()")
    page.evaluate("databench.close()")
    guest = tabs.open(link[link.index("/together/") :])
    expect(guest.locator(".databench-status p")).to_contain_text("this is a new session")
    expect(guest.locator("[data-signal='state:speed']")).to_have_text("20")


def test_a_button_shows_that_its_signal_is_handled(tabs: Tabs) -> None:
    page = tabs.open("/slowpi/")
    run = page.locator("#run")
    expect(page.locator("[data-signal='status:done']")).to_have_text("100")
    expect(run).to_be_enabled()
    run.click()
    expect(run).to_have_attribute("aria-busy", "true")
    expect(run).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("[data-signal='status:done']")).to_have_text("100")
