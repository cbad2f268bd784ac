"""Files are served from the allowed folders, and from nowhere else."""

import os
from pathlib import Path

import pytest

from databench.wire.catalog import Catalog
from databench_gateway.pages import SCRIPTS, Pages
from tests.gateway import site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    site.write(tmp_path / "secret.txt", "secret")
    return site.make(tmp_path / "analyses")


@pytest.fixture
def pages(folder: Path) -> Pages:
    return Pages(folder, development=True)


def test_files_of_the_author_come_before_ours(pages: Pages, folder: Path) -> None:
    ours = pages.file("databench-pages.css")
    assert ours is not None
    assert "databench_gateway" in ours.parts
    theirs = site.write(folder / "static/databench-pages.css", "/* mine */")
    assert pages.file("databench-pages.css") == theirs.resolve()


@pytest.mark.parametrize("name", ["d3.v5.min.js", "mpld3.min.js"])
def test_scripts_of_mpld3_come_from_its_installed_package(pages: Pages, name: str) -> None:
    file = pages.file(f"mpld3/{name}")
    assert file is not None
    assert file.parent.parent.name == "mpld3"
    assert file.stat().st_size > 10_000


def test_nothing_else_of_the_package_mpld3_is_served(pages: Pages) -> None:
    for name in ("", "d3.v3.min.js", "../__init__.py", "__init__.py"):
        assert pages.file(f"mpld3/{name}") is None


def test_our_own_files_that_pages_name_exist(pages: Pages) -> None:
    ours = [name for name in SCRIPTS if not name.startswith("client/")]
    for name in [*ours, "databench-pages.css", "databench.svg", "mathjax-config.js"]:
        assert pages.file(name), name


def test_both_layouts_have_a_static_folder(pages: Pages, folder: Path) -> None:
    assert pages.analysis_file(site.PI, "pi.js") == (folder / "static/pi.js").resolve()
    assert pages.analysis_file(site.DRAG, "drag.js") == (folder / "drag/static/drag.js").resolve()
    assert pages.analysis_file(site.DRAG, "pi.js") == (folder / "static/pi.js").resolve()
    assert pages.analysis_file(site.PI, "drag.js") is None


def test_a_thumbnail_is_a_picture_in_static_or_beside_the_page(pages: Pages, folder: Path) -> None:
    assert pages.thumbnail(site.PI) == (folder / "static/pi.png").resolve()
    assert pages.thumbnail(site.DRAG) == (folder / "drag/thumbnail.png").resolve()
    assert pages.thumbnail(site.entry("drag", folder="drag", thumbnail="thumbnail.png")) is not None
    assert pages.thumbnail(site.BARE) is None


@pytest.mark.parametrize("name", ["index.html", "__init__.py", "../pi.py", "README.md", "static/drag.js"])
def test_a_thumbnail_is_nothing_but_a_picture(pages: Pages, name: str) -> None:
    assert pages.thumbnail(site.entry("drag", folder="drag", thumbnail=name)) is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../pi.py",
        "../../secret.txt",
        "a/../../pi.py",
        "/etc/passwd",
        "//etc/passwd",
        "..\\pi.py",
        "C:/secret.txt",
        "pi.js\0.png",
        "nothing.js",
        ".hidden",
        "folder",
        "code.py",
        "CODE.PY",
        "../templates/pi.html",
        "x" * 5000,
        "link.txt",
        "loop",
        "outside/secret.txt",
    ],
)
def test_no_path_leads_elsewhere(pages: Pages, folder: Path, path: str) -> None:
    for static in (folder / "static", folder / "drag/static"):
        site.write(static / ".hidden", "")
        site.write(static / "folder/file.txt", "")
        site.write(static / "code.py", "")
        site.write(static / "CODE.PY", "")
        (static / "link.txt").symlink_to(folder.parent / "secret.txt")
        (static / "loop").symlink_to(static / "loop")
        (static / "outside").symlink_to(folder.parent, target_is_directory=True)
    assert pages.file(path) is None
    assert pages.analysis_file(site.PI, path) is None
    assert pages.analysis_file(site.DRAG, path) is None


def test_links_within_the_folder_are_followed(pages: Pages, folder: Path) -> None:
    os.symlink("pi.js", folder / "static/same.js")
    assert pages.file("same.js") == (folder / "static/pi.js").resolve()


def test_the_folder_of_analyses_may_itself_be_a_link(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder, target_is_directory=True)
    assert Pages(link, development=True).file("pi.js") == (folder / "static/pi.js").resolve()


def test_the_folder_of_an_entry_is_below_the_analyses(pages: Pages, folder: Path) -> None:
    site.write(folder.parent / "elsewhere/static/file.txt", "")
    site.write(folder.parent / "elsewhere/index.html", "secret page")
    entry = site.entry("bare", folder="../elsewhere")
    assert pages.analysis_file(entry, "file.txt") is None
    catalog = Catalog("", (entry,), ())
    assert "secret page" not in pages.analysis(catalog, "bare", "")


def test_there_need_not_be_any_static_folder(tmp_path: Path) -> None:
    assert Pages(tmp_path / "nothing", development=False).file("pi.js") is None
