"""Which files may leave this machine: pictures, scripts and styles of static folders, and nothing else.

Owns the check that a path from a URL stays inside its folder. Knows nothing of analyses or HTTP.
"""

import importlib.util
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

PICTURES = frozenset([".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".svg"])
_SOURCES = frozenset([".py", ".pyc", ".pyi", ".pyx"])


def find(folders: Iterable[Path], path: str) -> Path | None:
    """Return the file at `path` below the first folder that has it, for the world to read; else None."""
    return next((file for folder in folders if (file := inside(folder, path)) and is_public(file)), None)


def inside(folder: Path, path: str) -> Path | None:
    """Return the file at the relative `path` below a folder; None when it is not there or lies elsewhere.

    Symbolic links are followed, and count as what they lead to.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or any(_is_odd(part) for part in parts):
        return None
    try:
        root = folder.resolve(strict=True)
        file = root.joinpath(*parts).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        return None
    return file if file.is_relative_to(root) and file.is_file() else None


def _is_odd(part: str) -> bool:
    return part.startswith(".") or any(sign in part for sign in "\\:\0")


def is_public(file: Path) -> bool:
    """Python source is shown by a page that asks for it, never served."""
    return file.suffix.lower() not in _SOURCES


def is_picture(file: Path) -> bool:
    """A thumbnail may lie beside pages and modules, so only pictures count."""
    return file.suffix.lower() in PICTURES


def mpld3_script(name: str) -> Path | None:
    """Return mpld3's own `d3.v5.min.js` or `mpld3.min.js` from the installed package, without importing it."""
    spec = importlib.util.find_spec("mpld3")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "js"
    if name == "mpld3.min.js":
        return max(folder.glob("mpld3.v*.min.js"), default=None)
    return inside(folder, name) if name == "d3.v5.min.js" else None
