"""How many CPUs there are for this process."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_cpus"]


def available_cpus() -> int:
    """Count the CPUs that this process may use.

    They are those it may run on or, where a control group limits its time (``docker run --cpus 2``,
    a limit in Kubernetes), as many as that fills: threads beyond these would wait for each other.
    One and a half count as two.

    Returns
    -------
    int
        At least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    for limit in _limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")):
        count = min(count, math.ceil(limit))
    return count


def _limits(membership: Path, mount: Path) -> Iterator[float]:
    """Yield in CPUs what this process's control groups allow, and all around them.

    A container may find its own group at the top, while `membership` names it as the host does:
    what is not there is passed over, as are groups without a limit.
    """
    try:
        groups = membership.read_text().splitlines()
    except OSError:
        return
    for group in groups:
        _, controllers, path = group.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = mount / "cpu" if controllers else mount
        names = [name for name in path.split("/") if name not in ("", "..")]
        for depth in range(len(names) + 1):
            folder = top.joinpath(*names[:depth])
            try:
                quota, period = _first_version(folder) if controllers else _second_version(folder)
            except (OSError, ValueError):
                continue
            if quota > 0 and period > 0:
                yield quota / period


def _first_version(group: Path) -> tuple[int, int]:
    """Read how many of how many microseconds; of a group without a limit, fewer than none."""
    quota, period = group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us"
    return int(quota.read_text()), int(period.read_text())


def _second_version(group: Path) -> tuple[int, int]:
    """Read the same; of a group without a limit, no number."""
    quota, period = (group / "cpu.max").read_text().split()
    return int(quota), int(period)
