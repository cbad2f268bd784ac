"""How many cores this process may use: those that it may run on, within the quota of its container.

Reads what Linux tells, where it does. Knows nothing of settings.
"""

import os
from math import ceil
from pathlib import Path


def usable(root: Path = Path("/")) -> int:
    """Return the number of cores, at least 1.

    A quota of one and a half cores counts as two: two processes use all of it, one would leave a third of it.
    `root` is where the file systems `proc` and `sys` are, for tests.
    """
    # Not every system tells which cores a process may use.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for group in _groups(root) if (quota := _quota(group)) is not None]
    return max(1, min(cores, *map(ceil, quotas))) if quotas else cores


def _groups(root: Path) -> list[Path]:
    """Return the folders of the control groups of this process and of all above: each may hold a quota."""
    folders: list[Path] = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = (f"sys/fs/cgroup/{controllers}", "sys/fs/cgroup/cpu") if controllers else ("sys/fs/cgroup",)
        parts = [part for part in path.split("/") if part not in ("", "..")]
        folders += [root / mount / "/".join(parts[:depth]) for mount in mounts for depth in range(len(parts) + 1)]
    return folders


def _quota(group: Path) -> float | None:
    """Return the cores that a control group grants, of version 2 or 1; None for no limit."""
    quota, period, *_ = *_text(group / "cpu.max").split(), "", ""
    if not quota:
        quota, period = _text(group / "cpu.cfs_quota_us").strip(), _text(group / "cpu.cfs_period_us").strip()
    try:
        cores = float(quota) / float(period)
    except (ValueError, ZeroDivisionError):
        return None  # "max", or nothing is told
    return cores if cores > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
