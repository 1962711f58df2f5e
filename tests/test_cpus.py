"""How many CPUs there are, where control groups say something about it and where they do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unrolled import cpus
from unrolled.cpus import available_cpus


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def v1(path, quota, period=100_000, mount="cpu"):
    return {
        f"groups/{mount}/{path}cpu.cfs_quota_us": f"{quota}\n",
        f"groups/{mount}/{path}cpu.cfs_period_us": f"{period}\n",
    }


@pytest.mark.parametrize(
    ("files", "limits"),
    [
        pytest.param({}, [], id="no control groups"),
        pytest.param({"own": "0::/\n"}, [], id="none on the host"),
        pytest.param({"own": "0::/\n", "groups/cpu.max": "max 100000\n"}, [], id="no limit"),
        pytest.param({"own": "0::/\n", "groups/cpu.max": "150000 100000\n"}, [1.5], id="container"),
        pytest.param(
            {
                "own": "0::/a/b\n",
                "groups/a/cpu.max": "400000 100000\n",
                "groups/a/b/cpu.max": "600000 200000\n",
            },
            [4, 3],
            id="groups in groups",
        ),
        pytest.param(
            {
                "own": "0::/../../pod\n",
                "cpu.max": "100000 100000\n",
                "groups/cpu.max": "50000 100000\n",
                "groups/pod/cpu.max": "20000 100000\n",
            },
            [0.5],
            id="a path that leaves the mount",
        ),
        pytest.param(
            {"own": "5:cpu,cpuacct:/docker/12ab\n1:name=systemd:/x\n", **v1("", 200_000)},
            [2],
            id="version 1, named as the host does",
        ),
        pytest.param(
            {"own": "5:cpuset:/a\n4:cpu:/a\n0::/\n", **v1("", -1), **v1("a/", 50_000, 20_000)},
            [2.5],
            id="version 1 beside version 2",
        ),
        pytest.param(
            {"own": "4:cpu,cpuacct:/\n", **v1("", 300_000, mount="cpu,cpuacct")},
            [3],
            id="version 1, under all its names",
        ),
        pytest.param(
            {"own": "0::/a\x0cb\u2028\n", "groups/a\x0cb\u2028/cpu.max": "200000 100000\n"},
            [2],
            id="a name with odd characters",
        ),
        pytest.param(
            {"own": "\n?\n0::/\n", "groups/cpu.max": "200000 100000\n"}, [2], id="odd lines"
        ),
        pytest.param({"own": "0::/\n", "groups/cpu.max": "?"}, [], id="nothing known"),
        pytest.param({"own": "4:cpu:/\n", **v1("", 100_000, 0)}, [], id="no period"),
    ],
)
def test_limits_are_read_wherever_they_are(tmp_path, files, limits):
    write(tmp_path, files)
    assert list(cpus._limits(tmp_path / "own", tmp_path / "groups")) == limits


def test_a_name_that_is_no_text_is_passed_over(tmp_path):
    (tmp_path / "own").write_bytes(b"0::/a\xff\n")
    write(tmp_path, {"groups/cpu.max": "200000 100000\n"})
    assert list(cpus._limits(tmp_path / "own", tmp_path / "groups")) == [2]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processes are not held to CPUs")
@pytest.mark.parametrize(
    ("limits", "count"), [([], 3), ([8.0], 3), ([1.5, 2.5], 2), ([0.1], 1), ([3.0], 3)]
)
def test_the_least_limit_counts_and_parts_of_a_cpu_as_one(monkeypatch, limits, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 4, 5})
    asked = []
    monkeypatch.setattr(cpus, "_limits", lambda *where: asked.append(where) or iter(limits))
    assert available_cpus() == count
    assert asked == [(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))]


def test_there_is_a_cpu_where_nothing_is_known(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cpus() == 1
