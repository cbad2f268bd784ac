"""What pages say and load, for both layouts, with and without templates of the author."""

import re
from pathlib import Path

import pytest

from databench.wire.catalog import EMPTY, Catalog
from databench_gateway.pages import SCRIPTS, PageError, Pages
from tests.gateway import site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return site.make(tmp_path / "analyses")


@pytest.fixture
def pages(folder: Path) -> Pages:
    return Pages(folder, development=True)


@pytest.fixture
def public(folder: Path) -> Pages:
    return Pages(folder, development=False)


def loaded(html: str) -> list[str]:
    """Return what the browser fetches for a page."""
    return re.findall(r'<(?:script|img)[^>]*\ssrc="([^"]*)"', html) + re.findall(r'<link[^>]*\shref="([^"]*)"', html)


def test_the_index_shows_title_first_paragraph_picture_and_link(pages: Pages) -> None:
    html = pages.index(site.CATALOG, "")
    assert "The <em>index</em> text of" in html
    assert r"\(x_1\)" in html
    assert '<a href="/pi/">The number π</a>' in html
    assert '<p>Computes <span class="math">\\(\\pi\\)</span>.</p>' in html
    assert "At length" not in html
    assert 'src="/pi/thumbnail"' in html
    assert 'src="/bare/thumbnail"' not in html


def test_the_index_leaves_out_what_is_not_to_be_shown(pages: Pages) -> None:
    assert "/hidden/" not in pages.index(site.CATALOG, "")


def test_the_index_without_any_analysis_says_what_to_do(pages: Pages) -> None:
    assert "There is no analysis yet" in pages.index(EMPTY, "")


def test_faults_are_shown_in_development_only(pages: Pages, public: Pages) -> None:
    html = pages.index(site.CATALOG, "")
    assert "SyntaxError: invalid syntax" in html
    assert "(most recent call last): &lt;here&gt;" in html
    assert "SyntaxError" not in public.index(site.CATALOG, "")


def test_the_smallest_page_of_an_author_works(pages: Pages) -> None:
    html = pages.analysis(site.CATALOG, "pi", "")
    assert "<title>pi · Databench</title>" in html
    assert "<h1>pi</h1>" in html
    assert "At length." in html
    assert '<b data-signal="status:pi-estimate"></b>' in html
    assert html.index("/static/client/databench.js") < html.index("Databench('pi')")


def test_the_scripts_come_in_the_order_that_mpld3_needs(pages: Pages) -> None:
    assert [
        url for url in loaded(pages.analysis(site.CATALOG, "pi", "")) if url.removeprefix("/static/") in SCRIPTS
    ] == [f"/static/{name}" for name in SCRIPTS]


def test_a_package_has_its_page_beside_its_code(pages: Pages) -> None:
    assert "the drag page" in pages.analysis(site.CATALOG, "drag", "")


def test_a_package_may_have_its_page_among_the_templates(pages: Pages, folder: Path) -> None:
    (folder / "drag/index.html").rename(folder / "templates/drag.html")
    assert "the drag page" in pages.analysis(site.CATALOG, "drag", "")


def test_without_a_template_the_page_is_made_from_the_docstring(pages: Pages, public: Pages) -> None:
    html = pages.analysis(site.CATALOG, "bare", "")
    assert "About bare." in html
    assert 'id="log"' in html
    assert 'Databench("bare")' in html
    assert "<code>templates/bare.html</code>" in html
    assert "templates/bare.html" not in public.analysis(site.CATALOG, "bare", "")


def test_without_a_template_the_readme_of_a_package_is_shown(pages: Pages, folder: Path) -> None:
    (folder / "drag/index.html").unlink()
    html = pages.analysis(site.CATALOG, "drag", "")
    assert "Read <em>me</em>." in html
    assert "<code>drag/index.html</code>" in html


def test_the_readme_describes_a_package_without_a_docstring(pages: Pages, folder: Path) -> None:
    (folder / "drag/index.html").unlink()
    catalog = Catalog("", (site.entry("drag", folder="drag", source="drag/__init__.py", description=""),), ())
    assert "<p>Read <em>me</em>.</p>" in pages.index(catalog, "")
    assert pages.analysis(catalog, "drag", "").count("Read <em>me</em>.") == 1


@pytest.mark.parametrize("name", ["index", "waiting", "error"])
def test_our_own_pages_are_no_page_of_an_analysis(pages: Pages, folder: Path, name: str) -> None:
    site.write(folder / f"{name}.py", "")
    catalog = Catalog("", (site.entry(name),), ())
    assert f"About {name}." in pages.analysis(catalog, name, "")


def test_names_cannot_break_out_of_the_page(pages: Pages, folder: Path) -> None:
    name = "</script><b>"
    site.write(folder / "x.py", "")
    catalog = Catalog("", (site.entry(name, source="x.py"),), ())
    assert "<b>" not in pages.analysis(catalog, name, "") + pages.index(catalog, "")


def test_a_base_of_the_author_replaces_ours_and_may_extend_it(pages: Pages, folder: Path) -> None:
    site.write(
        folder / "templates/base.html",
        '{% extends "databench/base.html" %}{% block head %}<meta name="mine">{% endblock %}',
    )
    for html in (pages.analysis(site.CATALOG, "pi", ""), pages.analysis(site.CATALOG, "drag", "")):
        assert '<meta name="mine">' in html
        assert "/static/client/databench.js" in html
    assert '<meta name="mine">' in pages.index(site.CATALOG, "")


def test_an_index_of_the_author_replaces_ours(pages: Pages, folder: Path) -> None:
    site.write(folder / "templates/index.html", "{{ analyses|length }} of mine")
    assert pages.index(site.CATALOG, "") == "3 of mine"


def test_a_changed_template_is_seen_at_once_in_development(pages: Pages, folder: Path) -> None:
    pages.analysis(site.CATALOG, "pi", "")
    site.write(folder / "templates/pi.html", "changed")
    assert pages.analysis(site.CATALOG, "pi", "") == "changed"
    site.write(folder / "templates/base.html", "new base")
    assert pages.analysis(site.CATALOG, "bare", "") == "new base"


def test_authors_have_source_markdown_and_the_catalog_at_hand(pages: Pages, folder: Path) -> None:
    site.write(
        folder / "templates/pi.html",
        '{{ include_src() }}{{ include_src("static/pi.js") }}{{ "*m*"|markdown }}{{ analysis.title }}'
        "{% for other in analyses %}[{{ other.name }}]{% endfor %}{{ base }}",
    )
    html = pages.analysis(site.CATALOG, "pi", "/prefix")
    assert "<figcaption>pi.py</figcaption>" in html
    assert "// pi" in html
    assert "<em>m</em>" in html
    assert "The number π[pi][drag][bare]/prefix" in html


def test_a_package_shows_its_own_files(pages: Pages, folder: Path) -> None:
    site.write(
        folder / "drag/index.html", '{{ include_src() }}{{ include_src("static/drag.js") }}{{ include_src("pi.py") }}'
    )
    html = pages.analysis(site.CATALOG, "drag", "")
    assert "<figcaption>drag/__init__.py</figcaption>" in html
    assert "// drag" in html
    assert "<figcaption>pi.py</figcaption>" in html


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("one\n{% if %}\n", "pi.html, line 2: TemplateSyntaxError"),
        ("one\ntwo\n{{ nothing.there }}\n", "pi.html, line 3: UndefinedError: &#39;nothing&#39; is undefined"),
        ('\n{{ include_src("no.py") }}', "pi.html, line 2: FileNotFoundError: include_src: there is no file"),
        ('{% extends "gone.html" %}', "pi.html, line 1: TemplateNotFound: gone.html"),
        ("\n{{ 1 / 0 }}", "pi.html, line 2: ZeroDivisionError"),
    ],
)
def test_a_template_that_fails_is_named_with_its_line(pages: Pages, folder: Path, template: str, said: str) -> None:
    site.write(folder / "templates/pi.html", template)
    with pytest.raises(PageError) as caught:
        pages.analysis(site.CATALOG, "pi", "")
    assert said in caught.value.html
    assert "<mark>" in caught.value.html
    assert "pi.html" in str(caught.value)


def test_a_template_that_fails_shows_nothing_of_itself_to_the_public(public: Pages, folder: Path) -> None:
    site.write(folder / "templates/pi.html", "{{ 1 / 0 }}")
    with pytest.raises(PageError) as caught:
        public.analysis(site.CATALOG, "pi", "")
    assert "ZeroDivisionError" in str(caught.value)
    assert "ZeroDivisionError" not in caught.value.html
    assert "pi.html" not in caught.value.html


def test_a_base_that_fails_still_has_an_error_page(pages: Pages, folder: Path) -> None:
    site.write(folder / "templates/base.html", "\n\n{% block %}")
    with pytest.raises(PageError) as caught:
        pages.index(site.CATALOG, "")
    assert "base.html, line 3" in caught.value.html
    assert "/static/databench-pages.css" in caught.value.html


def test_what_is_not_there_is_named_and_what_is_there_is_listed(pages: Pages) -> None:
    html = pages.not_found(site.CATALOG, "/no<where", "")
    assert "/no&lt;where" in html
    assert 'href="/pi/"' in html
    assert 'class="cards"' not in pages.not_found(EMPTY, "/x", "")


def test_a_page_that_waits_says_for_what_and_comes_back_by_itself(pages: Pages) -> None:
    html = pages.waiting("no runner", "")
    assert "no runner" in html
    assert 'http-equiv="refresh"' in html


def every_page(pages: Pages, base: str) -> list[str]:
    made = [pages.analysis(site.CATALOG, entry.name, base) for entry in (site.PI, site.DRAG, site.BARE)]
    return [*made, pages.index(site.CATALOG, base), pages.not_found(site.CATALOG, "/x", base), pages.waiting("x", base)]


@pytest.mark.parametrize("base", ["", "/behind/a/proxy"])
def test_everything_that_a_page_loads_comes_from_this_server(pages: Pages, base: str) -> None:
    for html in every_page(pages, base):
        assert loaded(html)
        assert all(url.startswith(f"{base}/") and not url.startswith("//") for url in loaded(html))
        assert not re.search(r"""(?:src|href|url|action)\s*[=(]\s*["']?(?:https?:)?//""", html)


def test_every_page_has_its_landmarks_and_one_heading(pages: Pages) -> None:
    for html in every_page(pages, ""):
        assert html.startswith("<!doctype html>")
        for landmark in ("<header>", "<nav ", "<main>", "<footer>"):
            assert html.count(landmark) == 1, landmark
        assert html.count("<h1>") == 1
        assert all("alt=" in image for image in re.findall("<img[^>]*>", html))


def test_an_unknown_analysis_is_the_callers_mistake(pages: Pages) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        pages.analysis(site.CATALOG, "nowhere", "")
