"""Folders of analyses: both layouts, what fails in one module, and that the rest of Python is left alone."""

import queue
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from databench.analysis import registered, withdraw
from databench.errors import ConfigError
from databench.loading import Loaded, load

NUMBERS = count()
Folder = Callable[[dict[str, str]], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """Makes a folder with these files; everything that its import left in this process is taken back."""
    path, modules, analyses = list(sys.path), set(sys.modules), registered()

    def make(files: dict[str, str]) -> Path:
        root = tmp_path / f"analyses_{next(NUMBERS)}"
        for name, text in files.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text), encoding="utf-8")
        return root

    yield make
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(
            getattr(sys.modules[name], "__file__", "") or getattr(sys.modules[name], "__path__", "")
        ):
            del sys.modules[name]
    for name, analysis in registered().items():
        if name not in analyses:
            withdraw(analysis)


def declares(name: str) -> str:
    return f"import databench\na = databench.Analysis({name!r}, __name__)\n"


def names(loaded: Loaded) -> list[str]:
    assert [entry.name for entry in loaded.catalog.entries] == list(loaded.analyses)
    return sorted(loaded.analyses)


def faults(loaded: Loaded) -> list[tuple[str, str]]:
    return [(fault.module, fault.summary) for fault in loaded.catalog.faults]


def test_without_an_init_every_module_and_package_is_loaded(folder: Folder) -> None:
    loaded = load(folder({"one.py": declares("l-one"), "two/__init__.py": declares("l-two"), "no/data.txt": ""}))
    assert names(loaded) == ["l-one", "l-two"]
    one, two = loaded.catalog.entry("l-one"), loaded.catalog.entry("l-two")
    assert one is not None
    assert two is not None
    assert (one.folder, one.source) == ("", "one.py")
    assert (two.folder, two.source) == ("two", "two/__init__.py")
    assert faults(loaded) == []


@pytest.mark.parametrize("init", ["", '"""Nothing but a text."""\n', "import os\n"])
def test_an_init_that_imports_none_of_them_loads_all(folder: Folder, init: str) -> None:
    assert names(load(folder({"__init__.py": init, "one.py": declares("l-one"), "b.py": declares("l-b")}))) == [
        "l-b",
        "l-one",
    ]


@pytest.mark.parametrize("statement", ["import only_this_one", "from . import only_this_one"])
def test_an_init_that_imports_some_loads_those(folder: Folder, statement: str) -> None:
    root = folder({"__init__.py": statement, "only_this_one.py": declares("l-this"), "other.py": declares("l-other")})
    loaded = load(root)
    assert names(loaded) == ["l-this"]
    assert loaded.catalog.entries[0].source == "only_this_one.py"


def test_names_that_begin_with_an_underscore_and_other_files_are_left_out(folder: Folder) -> None:
    files = {"_helper.py": "1/0", "notes.txt": "", "my-data.py": "1/0", "one.py": declares("l-one")}
    loaded = load(folder(files))
    assert (names(loaded), faults(loaded)) == (["l-one"], [])


def test_the_texts_are_those_of_the_author(folder: Folder) -> None:
    root = folder(
        {
            "__init__.py": '"""\nAll of them.\n"""',
            "one.py": '''
                """The first."""
                import databench
                one = databench.Analysis("l-one", __name__)
                one.description = __doc__
                one.title = "One"
                one.thumbnail = "one.png"
                one.show_in_index = False
            ''',
            "none.py": declares("l-none") + "a.description = __doc__\n",
        }
    )
    loaded = load(root)
    assert loaded.catalog.description == "All of them."
    one, none = loaded.catalog.entry("l-one"), loaded.catalog.entry("l-none")
    assert one is not None
    assert none is not None
    assert (one.title, one.description, one.thumbnail, one.show_in_index) == ("One", "The first.", "one.png", False)
    assert (none.title, none.description) == ("l-none", "")


def test_a_module_may_hold_several_analyses(folder: Folder) -> None:
    assert names(load(folder({"both.py": declares("l-1") + declares("l-2")}))) == ["l-1", "l-2"]


BROKEN = {
    "syntax": ("def f(:\n    pass\n", "SyntaxError: invalid syntax"),
    "missing": ("\nimport no_such_module_anywhere\n", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
    "raises": ("\n1 / 0\n", "ZeroDivisionError: division by zero"),
    "exits": ("import sys\nsys.exit('bye')\n", "SystemExit: bye"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("init", [None, "", "from . import broken, one", "import broken, one"])
def test_a_module_that_fails_keeps_no_other_from_running(folder: Folder, kind: str, init: str | None) -> None:
    text, summary = BROKEN[kind]
    files = {"broken.py": text, "one.py": declares("l-one")} | ({} if init is None else {"__init__.py": init})
    loaded = load(folder(files))
    assert names(loaded) == ["l-one"]
    assert faults(loaded) == [("broken", summary)]
    traceback = loaded.catalog.faults[0].traceback
    assert "broken.py" in next(line for line in traceback.splitlines() if line.startswith("  File"))
    assert "importlib" not in traceback
    assert summary in traceback


def test_an_error_in_the_init_itself_is_told_and_its_modules_are_loaded(folder: Folder) -> None:
    root = folder({"__init__.py": "import one\n1 / 0\n", "one.py": declares("l-one"), "two.py": declares("l-two")})
    loaded = load(root)
    assert names(loaded) == ["l-one", "l-two"]
    assert faults(loaded) == [(root.name, "ZeroDivisionError: division by zero")]
    assert "__init__.py" in loaded.catalog.faults[0].traceback


def test_two_modules_with_the_same_fault_are_both_told(folder: Folder) -> None:
    loaded = load(folder({"one.py": "import no_such_module", "two.py": "import no_such_module"}))
    assert [module for module, _ in faults(loaded)] == ["one", "two"]


@pytest.mark.parametrize("init", ["", "import broken"])
def test_an_analysis_whose_module_fails_later_is_not_offered(folder: Folder, init: str) -> None:
    loaded = load(folder({"__init__.py": init, "broken.py": declares("l-broken") + "1 / 0\n"}))
    assert names(loaded) == []
    assert faults(loaded) == [("broken", "ZeroDivisionError: division by zero")]


def test_two_analyses_of_one_name_are_told(folder: Folder) -> None:
    root = folder({"one.py": declares("l-same"), "two.py": declares("l-same")})
    loaded = load(root)
    assert names(loaded) == ["l-same"]
    [(module, summary)] = faults(loaded)
    assert module == "two"
    assert f"two analyses are called 'l-same': one in {root.name}.one, one in {root.name}.two" in summary


def test_a_module_called_like_one_of_python_does_not_replace_it(folder: Folder) -> None:
    files = {
        "queue.py": declares("l-queue"),
        "random.py": "import random\n" + declares("l-random"),
        "other.py": "import queue, random\nqueue.Queue, random.random\n" + declares("l-other"),
    }
    loaded = load(folder(files))
    assert (names(loaded), faults(loaded)) == (["l-other", "l-queue", "l-random"], [])
    assert sys.modules["queue"] is queue


def test_a_module_of_python_that_nobody_has_imported_yet_is_not_replaced_either(folder: Folder) -> None:
    root = folder({"colorsys.py": declares("l-colours"), "other.py": "import colorsys\ncolorsys.rgb_to_hsv\n"})
    code = (
        "import sys, pathlib; from databench.loading import load; print(load(pathlib.Path(sys.argv[1])).catalog.faults)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(root)], check=True, capture_output=True, text=True)
    assert run.stdout == "()\n"


def test_a_module_can_import_its_neighbours_both_ways(folder: Folder) -> None:
    files = {
        "neighbour_of_one.py": "value = 1",
        "one.py": "import neighbour_of_one\n" + declares("l-one"),
        "two.py": "from . import neighbour_of_one\n" + declares("l-two"),
    }
    assert names(load(folder(files))) == ["l-one", "l-two"]


def test_the_traceback_keeps_the_frames_of_a_folder_called_importlib(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "importlib-demo"
    root = folder({"broken.py": "1 / 0\n"})
    inside.mkdir()
    loaded = load(root.rename(inside / root.name))
    assert "broken.py" in loaded.catalog.faults[0].traceback


def test_a_folder_may_be_empty(folder: Folder) -> None:
    loaded = load(folder({"notes.txt": ""}))
    assert (names(loaded), faults(loaded)) == ([], [])


def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no folder .*/nowhere\. Give the path of a folder"):
        load(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_a_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "my-analyses").mkdir()
    with pytest.raises(ConfigError, match="'my-analyses' cannot be imported: the folder's name must be a Python name"):
        load(tmp_path / "my-analyses")


def test_a_folder_called_like_a_module_of_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "statistics").mkdir()
    with pytest.raises(ConfigError, match="'statistics' is the name of a module of Python"):
        load(tmp_path / "statistics")
