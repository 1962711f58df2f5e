"""The portable kernels agree with naive loops in C++, as scripts/check_aarch64 has it elsewhere.

Here this machine itself compiles and runs them, so that the check stays in order.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.skipif(not shutil.which("g++"), reason="no g++ here")
def test_portable_kernels_agree_with_naive_loops():
    tools = {"AARCH64_CXX": "g++", "AARCH64_RUN": "env"}
    run = subprocess.run(
        [REPOSITORY / "scripts" / "check_aarch64"],
        env={**os.environ, **tools},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "warning" not in run.stderr
    assert run.stdout.endswith("all agree\n")
    assert run.stdout.count(" agree\n") > 30
