"""Imports an analyses folder: a Python package whose modules hold the analyses.

Owns the rules of docs/authors.md on folders. One module that fails does not keep the others from
running; what it raised is kept as a fault. Knows nothing of pages or sockets.
"""

import importlib
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from databench.analysis import Analysis, registered, withdraw
from databench.errors import ConfigError
from databench.wire.catalog import Catalog, Entry, Fault


@dataclass(frozen=True)
class Loaded:
    """An analyses folder after import."""

    catalog: Catalog
    analyses: dict[str, Analysis]
    """By name."""


def load(folder: Path) -> Loaded:
    """Import the analyses folder and return what it holds.

    The folder is a package: with `__init__.py` that imports the analyses (`import pi` or `from . import pi`), or
    without such imports, and then every module and package in it is imported. Raises ConfigError when there is no
    such folder.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise ConfigError(
            f"there is no folder {folder}. Give the path of a folder with analyses, as in `databench PATH`; "
            "`databench --gallery` shows the examples that come with Databench"
        )
    if not folder.name.isidentifier():
        raise ConfigError(f"{folder.name!r} cannot be imported: the folder's name must be a Python name")
    if folder.name in sys.stdlib_module_names:
        raise ConfigError(f"{folder.name!r} is the name of a module of Python: call the folder something else")
    _make_importable(folder)
    known = set(registered())
    faults: list[Fault] = []
    package = _imported(folder.name, faults)
    package_faults, faults = faults, []
    if package is None:
        # The modules that it did not get to are still worth having.
        package = sys.modules[folder.name] = ModuleType(folder.name)
        package.__path__ = [str(folder)]
    if package_faults or not _loaded_files(folder):
        for module in _modules(folder):
            _imported(f"{folder.name}.{module}", faults)
    analyses = {name: analysis for name, analysis in registered().items() if name not in known}
    entries = tuple(_entry(analysis, folder) for analysis in analyses.values())
    # The package's own fault says nothing new where a module that it imports has the same one.
    summaries = {fault.summary for fault in faults}
    faults = [fault for fault in package_faults if fault.summary not in summaries] + faults
    return Loaded(Catalog((package.__doc__ or "").strip(), entries, tuple(faults)), analyses)


def _make_importable(folder: Path) -> None:
    """Let `import analyses`, and inside it `import pi`, find the author's files.

    The folder itself comes last: an analysis called like a module of Python must not replace it for everybody.
    """
    sys.path[:] = [path for path in sys.path if path not in (str(folder), str(folder.parent))]
    sys.path.insert(0, str(folder.parent))
    sys.path.append(str(folder))
    importlib.invalidate_caches()


def _loaded_files(folder: Path) -> set[Path]:
    """Return the files in the folder, other than its own `__init__.py`, that are imported already."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    inside = {Path(file) for file in files if file and Path(file).is_relative_to(folder)}
    return inside - {folder / "__init__.py"}


def _modules(folder: Path) -> list[str]:
    """Return the names of the modules and packages in the folder that are not imported yet."""
    loaded = _loaded_files(folder)
    return sorted(
        path.stem
        for path in folder.iterdir()
        if path.stem.isidentifier()
        and not path.stem.startswith("_")
        and not {path, path / "__init__.py"} & loaded
        and (path.suffix == ".py" or (path / "__init__.py").is_file())
    )


def _imported(name: str, faults: list[Fault]) -> ModuleType | None:
    before = registered()
    try:
        return importlib.import_module(name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        summary = traceback.format_exception_only(error)[-1].strip()
        faults.append(Fault(name.rpartition(".")[2], summary, _own_traceback(error)))
        for analysis in registered().values():
            if analysis.name not in before and analysis.import_name not in sys.modules:
                withdraw(analysis)
        return None


def _own_traceback(error: BaseException) -> str:
    """Return the traceback from the author's first line on: the frames of the import system tell nothing."""
    frame = error.__traceback__
    while frame is not None and (
        frame.tb_frame.f_code.co_filename.startswith((__file__, importlib.__file__, "<frozen importlib"))
    ):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))


def _entry(analysis: Analysis, folder: Path) -> Entry:
    module = sys.modules.get(analysis.import_name)
    source = Path(getattr(module, "__file__", "") or "")
    inside = source.is_relative_to(folder)
    is_package = inside and source.name == "__init__.py" and source.parent != folder
    return Entry(
        name=analysis.name,
        title=analysis.title,
        description=(analysis.description or "").strip(),
        thumbnail=analysis.thumbnail,
        folder=source.parent.relative_to(folder).as_posix() if is_package else "",
        source=source.relative_to(folder).as_posix() if inside else "",
        show_in_index=analysis.show_in_index,
    )
