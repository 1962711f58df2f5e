"""``unrolled info --system``: which kernels run here, and why."""

import json
import os

import numpy as np
import pytest

from commands import call
from unrolled import kernels
from unrolled.cpus import available_cpus
from unrolled.jobs.system import describe_system


def test_it_says_the_kernels_and_the_libraries(cli):
    said = cli("info", "--system", "--json")
    assert (said.code, said.err) == (0, "")
    facts = json.loads(said.out)
    assert facts == describe_system()
    assert facts["kernels"] == kernels.status()._asdict()
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["cpu"]["cores"] == available_cpus()


def test_it_says_the_same_to_people(cli):
    said = cli("info", "--system")
    assert (said.code, said.err) == (0, "")
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    for section, facts in describe_system().items():
        assert section in lines
        for name, fact in facts.items():
            shown = " ".join(fact) if isinstance(fact, list) else fact
            assert f"{name} {shown}".strip() in lines


@pytest.mark.parametrize("path", ["numpy", "portable"])
def test_it_says_what_was_forced(path):
    if path != "numpy":
        pytest.importorskip("unrolled.kernels._compiled")
    environment = os.environ | {"UNROLLED_KERNELS": path, "UNROLLED_THREADS": "3"}
    facts = json.loads(call("info", "--system", "--json", env=environment).out)
    threads = 1 if path == "numpy" else 3
    assert facts["kernels"]["path"] == path
    assert facts["kernels"]["why"] == "UNROLLED_KERNELS asks for it"
    assert facts["kernels"]["threads"] == threads
    assert facts["environment"]["UNROLLED_KERNELS"] == path


def test_what_cannot_be_is_said_without_a_traceback():
    said = call("info", "--system", env=os.environ | {"UNROLLED_KERNELS": "gpu"})
    assert said.code == 2
    assert said.err.startswith("error: UNROLLED_KERNELS must be one of numpy, portable")
    assert said.err.count("\n") == 1


def test_a_model_beside_it_is_refused(cli):
    said = cli("info", "run/best", "--system")
    assert said.code == 2
    assert "leave out run/best" in said.err


def test_help_says_the_environment(cli):
    for command in ((), ("info",)):
        out = cli(*command, "--help").out
        assert "UNROLLED_KERNELS" in out
        assert "UNROLLED_THREADS" in out
