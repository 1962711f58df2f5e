"""How many CPUs there are for this process."""

from __future__ import annotations

import itertools
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

    A container may find its own group at the top, while `membership` names it as the host does, or
    by a path that leads out: what is not there is passed over, as are groups without a limit.
    """
    try:
        lines = os.fsdecode(membership.read_bytes()).split("\n")
    except OSError:
        return
    for line in lines:
        if line.count(":") < 2:
            continue
        _, controllers, path = line.split(":", 2)
        names = [name for name in path.split("/") if name]
        if ".." in names:
            names = []
        if not controllers:
            tops, read = [mount], _second_version
        elif "cpu" in controllers.split(","):
            tops, read = [mount / name for name in {"cpu", controllers}], _first_version
        else:
            continue
        for top, depth in itertools.product(tops, range(len(names) + 1)):
            try:
                quota, period = read(top.joinpath(*names[:depth]))
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
