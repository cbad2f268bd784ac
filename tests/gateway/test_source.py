"""Pages may show files of their analysis, highlighted, and no others."""

from pathlib import Path

import pytest
from markupsafe import Markup

from databench_gateway.source import highlighted


def test_python_is_highlighted_and_escaped(tmp_path: Path) -> None:
    (tmp_path / "pi.py").write_text("if 1 < 2:\n    pass\n")
    html = highlighted([tmp_path], "pi.py")
    assert isinstance(html, Markup)
    assert '<span class="k">if</span>' in html
    assert "&lt;" in html
    assert "<figcaption>pi.py</figcaption>" in html


def test_templates_and_files_of_unknown_kind_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / "pi.html").write_text("{% block title %}<b>{% endblock %}")
    (tmp_path / "notes.unknown").write_text("<notes>")
    assert "&lt;notes&gt;" in highlighted([tmp_path], "notes.unknown")
    assert '<span class="k">block</span>' in highlighted([tmp_path], "pi.html")


def test_the_first_folder_that_has_the_file_wins(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)
    assert "two" in highlighted([tmp_path / "two", tmp_path / "one"], "a.txt")


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "nothing.py", "", "link.txt"])
def test_a_file_elsewhere_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "analyses"
    folder.mkdir()
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        highlighted([folder], name)
