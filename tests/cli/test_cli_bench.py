"""``unrolled bench``: a table for people, JSON for programs, and errors in words."""

import json

import pytest

from unrolled.jobs.bench import Results
from unrolled.jobs.bench.cases import CASES, Shape, Sizes


@pytest.fixture(autouse=True)
def small(monkeypatch):
    made = Shape(6, 5, Sizes(8, 16, 16, 40), 0.7)
    monkeypatch.setattr("unrolled.jobs.bench.cases.CASES", CASES | {"a": made})


def test_it_measures_prints_and_writes(cli, tmp_path):
    out = tmp_path / "bench.json"
    said = cli("bench", "--quick", "--cpu-seconds", "--only", "step", "--rounds", 1, "--json", out)
    assert said.code == 0, said.err
    assert "A training step: loss and all gradients" in said.out
    assert "CPU ms" in said.out
    results = Results.read([out])
    assert results.machine["clock"] == "cpu"
    assert results.machine["threads"] == 1
    assert {record.case for record in results.records} == {"a"}
    for record in results.records:
        assert f"{record.middle * 1e3:,.2f}" in said.out
        assert record.setting in said.out
    assert json.loads(out.read_text())["machine"]["versions"]["numpy"] in said.out


def test_it_measures_sizes_of_ones_own(cli, tmp_path):
    out, own = tmp_path / "bench.json", "N=3,T=4,D=5,W=6,H=7,V=8"
    plan = ("--threads", 1, "--only", "step", "--rounds", 1, "--setting", "numpy")
    said = cli("bench", *plan, "--case", own, "--cell", "rnn", "--json", out)
    assert said.code == 0, said.err
    assert f"{own} rnn" in said.out
    assert [record.case for record in Results.read([out]).records] == [own]


def test_it_measures_those_who_are_named(cli, tmp_path):
    out = tmp_path / "bench.json"
    named = ("--setting", "numpy", "--setting", "nobody")
    plan = ("--quick", "--threads", 1, "--only", "step", "--rounds", 1)
    assert cli("bench", *plan, *named, "--json", out).code == 0
    assert [record.setting for record in Results.read([out]).records] == ["unrolled numpy"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--case", "z"], "case must be one of a, b, c, d, or what is other than in b"),
        (["--case", "H=-1"], "H=-1: T must be at least 2"),
        (["--only", "speed"], "only must be one of"),
        (["--rounds", "0"], "rounds must be at least 1"),
        (["--threads", "4096"], "threads must be from 1 to"),
        (["--threads", "2", "--cpu-seconds"], "one thread only"),
        (["--json", "{tmp}/none/bench.json"], "no file can be written there"),
        (["--plot", "{tmp}"], "no file can be written there"),
        (["--plot", "{tmp}/growth.pdf"], "a picture is .png or .svg"),
        (["--case", "d", "--flickr8k", "{tmp}/none"], "there is no such folder"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_measured(cli, tmp_path, arguments, words):
    said = cli("bench", *(each.format(tmp=tmp_path) for each in arguments))
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert words in said.err


def test_help_points_to_the_peers(cli):
    out = cli("bench", "--help").out
    assert "python -m benchmarks" in out
    assert "UNROLLED_KERNELS" in out
