"""Every page of the site: index, analyses, and the pages that say what is missing.

Owns which template, which files and which words a URL gets. Knows the catalog, not the bus; imports no web
framework and no user code.
"""

from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from databench.wire.catalog import Catalog, Entry
from databench_gateway import files
from databench_gateway.source import highlighted
from databench_gateway.templating import PageError, Templates

__all__ = ["PageError", "Pages"]

_STATIC = Path(__file__).parent / "static"
_DEFAULT_THUMBNAIL = "thumbnail.png"
SCRIPTS = (
    "mpld3/d3.v5.min.js",
    "mpld3/mpld3.min.js",
    "client/mpld3-d3.js",
    "client/vendor/d3.v7.min.js",
    "client/vendor/jquery.min.js",
    "client/databench.js",
)
"""What base.html loads, in this order: mpld3 keeps its own d3 v5 before the page's d3 v7 comes."""


class Pages:
    """Makes the pages for the analyses in one folder. Every method may raise PageError (answer 500 with its html)."""

    def __init__(self, analyses: Path, *, development: bool) -> None:
        self._analyses = analyses
        self._development = development
        self._templates = Templates(development=development)
        self._version = _version()

    def index(self, catalog: Catalog, base: str) -> str:
        """The page that shows what there is."""
        faults = catalog.faults if self._development else ()
        return self._render(
            "index.html", catalog, base, description=catalog.description, faults=faults, thumbnail=self.thumbnail
        )

    def analysis(self, catalog: Catalog, name: str, base: str) -> str:
        """The page of an analysis, which must be in the catalog: the author's, or one made from the docstring."""
        entry = catalog.entry(name)
        if entry is None:
            raise ValueError(f"no analysis {name!r} in the catalog")
        readme = self._readme(entry) if entry.description else ""
        entry = self._described(entry)
        template, folders = self._template(entry)
        places = [*self._folder(entry), self._analyses]
        context = {"analysis": entry, "include_src": partial(_include_src, places, entry)}
        if template is None:
            context |= {"expected": self._expected(entry), "readme": readme}
        return self._render(template or "analysis.html", catalog, base, folders, **context)

    def not_found(self, catalog: Catalog, path: str, base: str) -> str:
        """The page for a URL that leads nowhere; it lists what there is."""
        return self._render("not_found.html", catalog, base, path=path, thumbnail=self.thumbnail)

    def waiting(self, missing: str, base: str) -> str:
        """The page shown while a service is missing; it comes back by itself."""
        return self._render("waiting.html", Catalog("", (), ()), base, missing=missing)

    def file(self, path: str) -> Path | None:
        """Return the file behind `/static/PATH`: the author's, else ours, else mpld3's."""
        found = files.find([self._analyses / "static", _STATIC], path)
        if found is None and path.startswith("mpld3/"):
            return files.mpld3_script(path.removeprefix("mpld3/"))
        return found

    def analysis_file(self, entry: Entry, path: str) -> Path | None:
        """Return the file behind `/NAME/static/PATH`."""
        return files.find([folder / "static" for folder in [*self._folder(entry), self._analyses]], path)

    def thumbnail(self, entry: Entry) -> Path | None:
        """Return the picture behind `/NAME/thumbnail`."""
        name = entry.thumbnail or (_DEFAULT_THUMBNAIL if entry.folder else "")
        found = self.analysis_file(entry, name) or files.find(self._folder(entry), name)
        return found if found and files.is_picture(found) else None

    def _folder(self, entry: Entry) -> list[Path]:
        """Return the folder of an analysis that is a package, as a list of one; else none."""
        folder = self._analyses / entry.folder
        below = entry.folder and folder.resolve().is_relative_to(self._analyses.resolve())
        return [folder] if below else []

    def _template(self, entry: Entry) -> tuple[str | None, list[Path]]:
        """Return the author's template for an analysis and the folders to look in; ours are not theirs."""
        folders = [*self._folder(entry), self._analyses / "templates"]
        candidates = [(folder, "index.html") for folder in self._folder(entry)]
        candidates.append((self._analyses / "templates", f"{entry.name}.html"))
        found = (name for folder, name in candidates if files.inside(folder, name))
        return next(found, None), folders

    def _expected(self, entry: Entry) -> str:
        return f"{entry.folder}/index.html" if entry.folder else f"templates/{entry.name}.html"

    def _described(self, entry: Entry) -> Entry:
        """The README of a package is its description where it has no other."""
        return entry if entry.description else replace(entry, description=self._readme(entry))

    def _readme(self, entry: Entry) -> str:
        found = [file for folder in self._folder(entry) if (file := files.inside(folder, "README.md"))]
        return found[0].read_text(encoding="utf-8", errors="replace") if found else ""

    def _render(
        self, template: str, catalog: Catalog, base: str, folders: list[Path] | None = None, /, **context: Any
    ) -> str:
        shared = {
            "analysis": None,
            "analyses": tuple(self._described(entry) for entry in catalog.entries if entry.show_in_index),
            "base": base,
            "development": self._development,
            "scripts": SCRIPTS,
            "version": self._version,
        }
        return self._templates.render(folders or [self._analyses / "templates"], template, **(shared | context))


def _include_src(places: list[Path], entry: Entry, name: str = "") -> str:
    """What templates call: the highlighted source of a file, of the analysis itself without a name."""
    if name:
        return highlighted(places, name)
    return highlighted(places[-1:], entry.source)


def _version() -> str:
    try:
        return version("databench")
    except PackageNotFoundError:
        return ""
