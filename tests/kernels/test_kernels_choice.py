"""`UNROLLED_KERNELS` forces a path, and each passes the layers' own tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unrolled import kernels

ROOT = Path(__file__).parents[2]
SAY = "from unrolled import kernels; print(*kernels.status()[:2], sep=': ')"


def run(*command, **environment):
    return subprocess.run(
        [sys.executable, *command],
        env=os.environ | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def available():
    extension = pytest.importorskip("unrolled.kernels._compiled")
    return [name for name in kernels.PATHS[1:] if extension.find(name)[0] is not None]


def test_status_names_the_best_path_and_why():
    best = available()[-1]
    assert run("-c", SAY, UNROLLED_KERNELS="").stdout.startswith(f"{best}: the best this CPU has")


@pytest.mark.parametrize("name", kernels.PATHS)
def test_a_forced_path_passes_the_layers_tests(name):
    if name != "numpy" and name not in available():
        pytest.skip(f"{name} cannot run here")
    said = run("-c", SAY, UNROLLED_KERNELS=name)
    assert said.stdout == f"{name}: UNROLLED_KERNELS asks for it\n", said.stderr
    # Those in float32: in float64 it is always NumPy's text that runs.
    tests = ["tests/layers/test_layers_dtypes.py", "tests/model/test_model_ready.py"]
    done = run("-m", "pytest", "-q", "-x", *tests, UNROLLED_KERNELS=name)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"UNROLLED_KERNELS": "gpu"}, "UNROLLED_KERNELS must be one of numpy, portable"),
        ({"UNROLLED_THREADS": "0"}, "UNROLLED_THREADS must be a whole number above 0, got '0'"),
    ],
)
def test_what_cannot_be_is_an_input_error(variables, words):
    available()
    done = run("-c", SAY, **variables)
    assert done.returncode == 1
    assert f"InputError: {words}" in done.stderr
