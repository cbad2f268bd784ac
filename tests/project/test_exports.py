"""The public API is what `databench/__init__.py` lists, and packages hold no logic in `__init__`."""

import ast
import types
from pathlib import Path

import pytest

import databench

ROOT = Path(__file__).parents[2]
INITS = sorted(
    str(path.relative_to(ROOT))
    for folder in ("src", "services")
    for path in (ROOT / folder).rglob("__init__.py")
    if "static" not in path.parts
)


def test_everything_that_is_exported_is_there() -> None:
    assert [name for name in databench.__all__ if not hasattr(databench, name)] == []


def test_nothing_else_looks_public() -> None:
    public = {
        name
        for name, value in vars(databench).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public - set(databench.__all__) == set()


@pytest.mark.parametrize("name", INITS)
def test_an_init_holds_no_logic(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text())
    allowed = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.AnnAssign)
    assert [type(node).__name__ for node in tree.body if not isinstance(node, allowed)] == []
    assert ast.get_docstring(tree), f"{name} says what the package is for"
