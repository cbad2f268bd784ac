"""The lock files say exactly what is installed, and nothing about where it comes from."""

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
REQUIREMENT = re.compile(r"(?P<name>[a-z0-9._-]+)==(?P<version>[^ ;]+)(?: ; [^\\]+)?")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
RUNTIME = PROJECT["project"]["dependencies"]
EXTRAS = [each for extra in PROJECT["project"]["optional-dependencies"].values() for each in extra]


def locked(name: str) -> dict[str, set[str]]:
    """Package and its versions (more than one where Pythons need different ones), each with hashes."""
    versions: dict[str, set[str]] = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / name).read_text().strip()):
        head, *hashes = [line.strip(" \\") for line in entry.splitlines()]
        match = REQUIREMENT.fullmatch(head)
        assert match, head
        assert hashes, f"{head} has no hashes"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), head
        versions.setdefault(match["name"], set()).add(match["version"])
    return versions


def group(name: str) -> list[str]:
    """What a dependency group asks for, with what it includes."""
    return [
        each
        for entry in GROUPS[name]
        for each in (group(entry["include-group"]) if isinstance(entry, dict) else [entry])
    ]


def names(requirements: Iterable[str]) -> set[str]:
    return {re.split(r"[<>=!~\[; ]", each, maxsplit=1)[0].lower() for each in requirements}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_names_versions_and_hashes_only(name: str) -> None:
    assert locked(name)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("requirements.lock", RUNTIME),
        ("requirements-build.lock", group("build")),
        ("requirements-test.lock", RUNTIME + EXTRAS + group("test")),
        ("requirements-lint.lock", RUNTIME + group("test") + group("lint")),
    ],
)
def test_what_the_project_asks_for_is_locked(name: str, wanted: list[str]) -> None:
    assert names(wanted) - locked(name).keys() == set()


@pytest.mark.parametrize("name", ["requirements-test.lock", "requirements-lint.lock"])
def test_tests_run_with_the_versions_that_users_get(name: str) -> None:
    runtime, more = locked("requirements.lock"), locked(name)
    assert {package: more.get(package) for package in runtime} == runtime


def test_the_build_backend_is_the_one_that_is_locked() -> None:
    assert set(PROJECT["build-system"]["requires"]) <= set(GROUPS["build"])


def test_the_clients_lock_names_no_registry() -> None:
    lock: dict[str, Any] = json.loads((ROOT / "client-js/package-lock.json").read_text())
    packages = [package for path, package in lock["packages"].items() if path]
    assert packages
    assert not any("resolved" in package for package in packages)
    assert all(package["integrity"].startswith("sha512-") for package in packages)


def test_the_clients_lock_is_complete_for_every_platform() -> None:
    lock: dict[str, Any] = json.loads((ROOT / "client-js/package-lock.json").read_text())
    held = {path.rpartition("node_modules/")[2] for path in lock["packages"]}
    wanted = {
        name
        for package in lock["packages"].values()
        for kind in ("dependencies", "devDependencies", "optionalDependencies")
        for name in package.get(kind, ())
    }
    assert wanted - held == set()
