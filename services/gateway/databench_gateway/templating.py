"""Templates: where they are looked for, what they may use, and what is said when one does not work.

Owns the order of folders (an analysis's own, the author's, ours) and the page for a broken template. Knows
nothing of catalogs and URLs.
"""

import traceback
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateSyntaxError,
    Undefined,
)

from databench_gateway.markdown import first_paragraph, markdown

OURS = Path(__file__).parent / "templates"
_EXCERPT = 3
"""Lines of a broken template that are shown before and after the one in question."""


class PageError(Exception):
    """A template does not work. `html` is the page to answer with, under status 500."""

    def __init__(self, message: str, html: str) -> None:
        super().__init__(message)
        self.html = html


class Templates:
    """Renders templates; in development every change of one is seen at once, and undefined names are errors."""

    def __init__(self, *, development: bool) -> None:
        self._development = development
        self._environment = lru_cache(maxsize=64)(self._make_environment)

    def render(self, folders: Iterable[Path], name: str, **context: Any) -> str:
        """Render the template of that name from the first folder that has it, ours being the last.

        Raises PageError.
        """
        folders = tuple(folders)
        try:
            return self._environment(folders).get_template(name).render(context)
        except Exception as error:
            places = (*folders, OURS)
            raise PageError(_summary(error, places), self._error_page(error, places, context)) from error

    def _make_environment(self, folders: tuple[Path, ...]) -> Environment:
        ours = FileSystemLoader(OURS)
        loaders = [*map(FileSystemLoader, folders), ours, PrefixLoader({"databench": ours})]
        environment = Environment(
            loader=ChoiceLoader(loaders),
            autoescape=True,
            cache_size=0 if self._development else 400,
            undefined=StrictUndefined if self._development else Undefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["markdown"] = markdown
        environment.filters["first_paragraph"] = first_paragraph
        return environment

    def _error_page(self, error: Exception, places: tuple[Path, ...], context: dict[str, Any]) -> str:
        shown: dict[str, Any] = {"development": self._development, "summary": None, "excerpt": (), "trace": ""}
        if self._development:
            shown["summary"] = _summary(error, places)
            shown["excerpt"] = _excerpt(error, places)
            shown["trace"] = "".join(traceback.format_exception(error))
        known = {key: context[key] for key in ("base", "version", "scripts") if key in context}
        return self._environment(()).get_template("error.html").render(known | shown | {"analysis": None})


def _place(error: Exception, places: tuple[Path, ...]) -> tuple[Path, int] | None:
    """Return the template and line where it happened: the innermost frame that lies in a template."""
    if isinstance(error, TemplateSyntaxError) and error.filename:
        return Path(error.filename), error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    found = [
        (Path(frame.filename), frame.lineno)
        for frame in frames
        if not frame.filename.endswith(".py") and any(Path(frame.filename).is_relative_to(at) for at in places)
    ]
    return (found[-1][0], found[-1][1] or 1) if found else None


def _summary(error: Exception, places: tuple[Path, ...]) -> str:
    place = _place(error, places)
    at = f"{place[0].name}, line {place[1]}: " if place else ""
    return f"{at}{type(error).__name__}: {error}"


def _excerpt(error: Exception, places: tuple[Path, ...]) -> list[tuple[int, str, bool]]:
    """Return lines around the place as (number, text, whether this is the one)."""
    place = _place(error, places)
    if place is None or not place[0].is_file():
        return []
    lines = place[0].read_text(encoding="utf-8", errors="replace").splitlines()
    numbers = range(max(1, place[1] - _EXCERPT), min(len(lines), place[1] + _EXCERPT) + 1)
    return [(number, lines[number - 1], number == place[1]) for number in numbers]
