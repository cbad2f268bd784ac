"""What the documents point at is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "analyses/**/*.md", "benchmarks/**/*.md")
    for path in ROOT.glob(pattern)
)
FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(<?([^)\s>]+)>?(?: [^)]*)?\)|<(?:img|a) [^>]*?(?:src|href)=\"([^\"]+)\"")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def anchors(text: str) -> set[str]:
    """The anchors that the headings of a document get."""
    headings = re.findall(r"^#+ (.+?) *$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    links = [first or second for first, second in LINK.findall(FENCE.sub("", path.read_text()))]
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = path.parent / target if target else path
        assert file.exists(), link
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file.read_text()), link


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_that_are_mentioned_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    mentioned = re.findall(r"(?:^|`|&& )make ([a-z-]+)", text, re.MULTILINE)
    assert set(mentioned) - TARGETS == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_scripts_that_are_mentioned_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    mentioned = re.findall(r"(?<![\w/])(scripts/[\w.-]+|\.ci/run)", text)
    assert [name for name in mentioned if not (ROOT / name).exists()] == []
