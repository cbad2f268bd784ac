"""The pages of our own gallery are made without an error, and have their pictures and scripts."""

import re
from pathlib import Path

import pytest
from PIL import Image

from databench.wire.catalog import Catalog, Entry
from databench_gateway.pages import Pages
from tests.gateway import site

GALLERY = Path(__file__).parents[2] / "analyses"
MODULES = [
    site.entry(file.stem, thumbnail=f"{file.stem}.png")
    for file in sorted(GALLERY.glob("*.py"))
    if file.stem != "__init__"
]
PACKAGES = [
    site.entry(file.parent.name, folder=file.parent.name, source=f"{file.parent.name}/__init__.py")
    for file in sorted(GALLERY.glob("*/__init__.py"))
]
ENTRIES = MODULES + PACKAGES
pages = Pages(GALLERY, development=True)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_page_of_the_gallery_is_the_authors_and_shows_its_source(entry: Entry) -> None:
    html = pages.analysis(Catalog("", tuple(ENTRIES), ()), entry.name, "")
    assert f"Databench('{entry.name}')" in html
    assert f"<figcaption>{entry.source}</figcaption>" in html
    for script in re.findall(r'<script src="static/([^"]+)"', html):
        assert pages.analysis_file(entry, script)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_picture_of_the_gallery_is_small_and_of_the_right_size(entry: Entry) -> None:
    file = pages.thumbnail(entry)
    assert file is not None
    assert file.stat().st_size < 50_000
    with Image.open(file) as picture:
        assert picture.size == (400, 300)


def test_the_gallery_shows_both_layouts() -> None:
    assert MODULES
    assert PACKAGES
