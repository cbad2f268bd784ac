"""How many cores there are, by what Linux tells of affinity and control groups."""

import os
from pathlib import Path

import pytest

from databench import cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process may run on eight."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_a_quota_there_are_those_that_the_process_may_run_on(tmp_path: Path) -> None:
    assert cores.usable(tmp_path) == 8
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}
    assert cores.usable(write(tmp_path, files)) == 8


@pytest.mark.parametrize(("quota", "expected"), [(400_000, 4), (150_000, 2), (20_000, 1), (9_900_000, 8)])
def test_a_quota_is_rounded_up_and_never_more_than_there_is(tmp_path: Path, quota: int, expected: int) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{quota} 100000\n"}
    assert cores.usable(write(tmp_path, files)) == expected


def test_the_least_quota_of_the_groups_above_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/machine/worker.scope\n",
        "sys/fs/cgroup/machine/cpu.max": "300000 100000\n",
        "sys/fs/cgroup/machine/worker.scope/cpu.max": "600000 100000\n",
    }
    assert cores.usable(write(tmp_path, files)) == 3


@pytest.mark.parametrize("mount", ["cpu,cpuacct", "cpu"])
def test_the_first_version_of_control_groups_is_read_too(tmp_path: Path, mount: str) -> None:
    files = {
        "proc/self/cgroup": "5:memory:/\n4:cpu,cpuacct:/docker/1f\n",
        f"sys/fs/cgroup/{mount}/cpu.cfs_quota_us": "250000\n",
        f"sys/fs/cgroup/{mount}/cpu.cfs_period_us": "100000\n",
    }
    assert cores.usable(write(tmp_path, files)) == 3
    (tmp_path / f"sys/fs/cgroup/{mount}/cpu.cfs_quota_us").write_text("-1\n")
    assert cores.usable(tmp_path) == 8


def test_where_the_system_does_not_tell_all_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable(tmp_path) == 1
