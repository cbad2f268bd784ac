"""A folder of analyses with both layouts, and its catalog, for the tests of pages."""

from pathlib import Path

from databench.wire.catalog import Catalog, Entry, Fault

PICTURE = b"\x89PNG\r\n\x1a\n"


def entry(name: str, **changes: object) -> Entry:
    fields = {
        "name": name,
        "title": name,
        "description": f"About {name}.",
        "thumbnail": "",
        "folder": "",
        "source": f"{name}.py",
        "show_in_index": True,
    }
    return Entry(**(fields | changes))  # type: ignore[arg-type]


def write(file: Path, text: str | bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


SMALLEST = """{% extends "base.html" %}
{% block title %}pi{% endblock %}
{% block content %} <b data-signal="status:pi-estimate"></b> <pre id="log"></pre> {% endblock %}
{% block footerscripts %}
<script>
  var databench = Databench('pi');
  databench.genericElements.log($('#log'));
</script>
{% endblock %}
"""


def make(folder: Path) -> Path:
    """Write the module `pi` and the package `drag`, each with a page, a script and a picture; `bare` has no page."""
    write(folder / "__init__.py", '"""All of them."""')
    write(folder / "pi.py", "print('pi')")
    write(folder / "bare.py", "print('bare')")
    write(folder / "templates/pi.html", SMALLEST)
    write(folder / "static/pi.js", "// pi")
    write(folder / "static/pi.png", PICTURE)
    write(folder / "drag/__init__.py", "print('drag')")
    write(folder / "drag/index.html", '{% extends "base.html" %}{% block content %}the drag page{% endblock %}')
    write(folder / "drag/static/drag.js", "// drag")
    write(folder / "drag/thumbnail.png", PICTURE)
    write(folder / "drag/README.md", "Read *me*.")
    return folder


PI = entry("pi", title="The number π", description="Computes \\(\\pi\\).\n\nAt length.", thumbnail="pi.png")
DRAG = entry("drag", folder="drag", source="drag/__init__.py")
BARE = entry("bare")
HIDDEN = entry("hidden", show_in_index=False)
FAULT = Fault("broken", "SyntaxError: invalid syntax", "Traceback (most recent call last): <here>")
CATALOG = Catalog("The *index* text of \\(x_1\\).", (PI, DRAG, BARE, HIDDEN), (FAULT,))
