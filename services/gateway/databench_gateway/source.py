"""Source files as highlighted HTML, for pages that show how they are made.

Owns what `include_src` gives; the colours are in static/databench-pages.css. Only shows files below the
folder it is given.
"""

from pathlib import Path

import pygments
from markupsafe import Markup
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.util import ClassNotFound

from databench_gateway import files

_TEMPLATES = {".html": "x.html.j2", ".jinja": "x.html.j2"}
"""Names under which pygments finds the lexer that the suffix alone would miss."""


def highlighted(folders: list[Path], name: str) -> Markup:
    """Return the file of that name below the first folder that has it as highlighted HTML.

    Raises FileNotFoundError, which names the folders, when there is none.
    """
    file = next((found for folder in folders if (found := files.inside(folder, name))), None)
    if file is None:
        places = " or ".join(str(folder) for folder in folders)
        raise FileNotFoundError(f"include_src: there is no file {name!r} in {places}")
    text = file.read_text(encoding="utf-8", errors="replace")
    code = pygments.highlight(text, _lexer(file), HtmlFormatter(nowrap=True))
    return Markup(
        '<figure class="source"><figcaption>{}</figcaption><pre tabindex="0"><code>{}</code></pre></figure>'
    ).format(name, Markup(code))


def _lexer(file: Path) -> Lexer:
    name = _TEMPLATES.get(file.suffix, file.name)
    try:
        lexer: Lexer = get_lexer_for_filename(name)
    except ClassNotFound:
        return TextLexer()
    return lexer
