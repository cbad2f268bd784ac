"""Who may import whom: the arrows of docs/architecture.md as a table."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [ROOT / "src/databench", *sorted(ROOT.glob("services/*/databench_*"))]

MAY_IMPORT = {
    "databench.errors": "",
    "databench.wire": "errors",
    "databench.bus": "errors wire",
    "databench.cores": "",
    "databench.engines.names": "errors",
    "databench.config": "errors wire bus cores engines.names",
    "databench.logs": "",
    "databench.listening": "errors",
    "databench.health": "errors wire bus config",
    "databench.supervisor": "errors wire bus config logs",
    "databench.cli": "errors wire bus config logs listening health supervisor author",
    "databench.command": "health cli",
    "databench.__main__": "command",
    "databench.testing": "errors wire bus author",
    "author": "errors wire bus.contract engines.names",
    "databench_broker": "errors wire bus config logs",
    "databench_gateway": "errors wire bus config logs listening",
    "databench_runner": "errors wire bus config logs author",
    "databench_worker": "errors wire bus config logs jobs loading",
}
"""Besides its own package. "author": every module of databench without a line here, what authors import."""

ONLY_IN = {
    "zmq": ("databench.bus.zeromq", "databench_broker.sockets"),
    "pydantic": ("databench.validation",),
    "distributed": ("databench.engines.dask",),
    "msgpack": ("databench.wire.codec",),
    "fastapi": ("databench_gateway",),
    "starlette": ("databench_gateway",),
    "uvicorn": ("databench_gateway",),
}
NO_IO = {"asyncio", "fastapi", "selectors", "socket", "ssl", "starlette", "time", "zmq"}


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            yield ".".join(path.relative_to(package.parent).with_suffix("").parts), path


def imports(path: Path) -> Iterator[str]:
    """Every name that a file imports, wherever in it; relative imports are refused."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def group(name: str) -> str:
    if not within(name, "databench"):
        return name.split(".")[0]
    return next((key for key in MAY_IMPORT if within(name, key)), "author")


MODULES = dict(modules())


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_lies_below_it(module: str) -> None:
    own = group(module)
    allowed = MAY_IMPORT[own].split()
    ours = [name for name in imports(MODULES[module]) if name.startswith("databench")]
    wrong = [
        name
        for name in ours
        if not (
            group(name) == own or group(name) in allowed or within(name, *(f"databench.{each}" for each in allowed))
        )
    ]
    assert wrong == [], f"{own} may import {allowed}"


@pytest.mark.parametrize("module", MODULES)
def test_a_library_stays_where_it_is_wrapped(module: str) -> None:
    for library, homes in ONLY_IN.items():
        if not within(module, *homes):
            assert [name for name in imports(MODULES[module]) if within(name, library)] == []


@pytest.mark.parametrize("module", [name for name in MODULES if within(name, "databench.wire")])
def test_the_wire_knows_neither_sockets_nor_clocks(module: str) -> None:
    assert {name.split(".")[0] for name in imports(MODULES[module])} & NO_IO == set()


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    edges: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        name = module.removesuffix(".__init__")
        edges[name] = {found for each in imports(path) if (found := _module(each)) and found != name}
    while free := [name for name in edges if not edges[name] & edges.keys()]:
        for name in free:
            del edges[name]
    assert edges == {}


def _module(name: str) -> str | None:
    """The module of ours that an imported name is or lies in."""
    return next(
        (each for each in (name, name.rpartition(".")[0]) if each in MODULES or f"{each}.__init__" in MODULES),
        None,
    )


def test_importing_databench_is_light() -> None:
    heavy = {
        "distributed",
        "fastapi",
        "matplotlib",
        "mpld3",
        "numpy",
        "pydantic",
        "starlette",
        "typer",
        "uvicorn",
        "zmq.asyncio",
    }
    code = "import sys, databench; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert heavy & set(run.stdout.split()) == set()
