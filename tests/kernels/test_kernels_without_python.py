"""The portable kernels agree with naive loops in C++, as scripts/check_aarch64 has it elsewhere.

Here this machine itself compiles and runs them, so that the check stays in order.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def links_statically(folder):
    """Whether there is a g++ that makes an executable which needs no library, as the check does."""
    source = folder / "empty.cpp"
    source.write_text("int main() { return 0; }")
    command = ["g++", "-static", "-pthread", source, "-o", folder / "empty"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_portable_kernels_agree_with_naive_loops(tmp_path):
    if not links_statically(tmp_path):
        pytest.skip("no g++ here that links statically")
    tools = {"AARCH64_CXX": "g++", "AARCH64_RUN": "env", "AARCH64_BUILD": str(tmp_path)}
    run = subprocess.run(
        [REPOSITORY / "scripts" / "check_aarch64"],
        env={**os.environ, **tools},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.endswith("all agree\n")
    assert run.stdout.count(" agree\n") > 30
