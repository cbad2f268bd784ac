"""Pages over HTTP, from the real services."""

import httpx

from tests.e2e.server import Server


def test_the_index_lists_what_runs_and_shows_what_does_not(server: Server) -> None:
    page = httpx.get(server.url)
    assert page.status_code == 200
    assert 'href="/probe/"' in page.text
    assert "no_such_module_anywhere" in page.text
    assert "broken" in server.expect("broken: not loaded").group()


def test_an_analysis_has_its_page(server: Server) -> None:
    page = httpx.get(f"{server.url}/probe", follow_redirects=True)
    assert str(page.url).endswith("/probe/")
    assert "Databench('probe')" in page.text


def test_an_unknown_page_is_404_and_says_what_there_is(server: Server) -> None:
    page = httpx.get(f"{server.url}/nothing/")
    assert page.status_code == 404
    assert 'href="/probe/"' in page.text


def test_health_tells_of_the_process_and_readiness_of_the_whole(server: Server) -> None:
    assert httpx.get(f"{server.url}/healthz").json() == {"status": "alive"}
    assert httpx.get(f"{server.url}/readyz").json() == {"status": "ready"}


def test_files_are_served_and_nothing_beside_them(server: Server) -> None:
    assert httpx.get(f"{server.url}/static/client/databench.js").status_code == 200
    assert httpx.get(f"{server.url}/static/mpld3/mpld3.min.js").status_code == 200
    for path in ("/static/../__init__.py", "/static/%2e%2e/probe.py", "/probe/static/%2e%2e/probe.py"):
        assert httpx.get(f"{server.url}{path}").status_code == 404
