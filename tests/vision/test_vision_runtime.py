"""ONNX Runtime starts, and tells nobody of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from commands import surroundings
from small_world import write_own_encoder

START = """
import sys
from pathlib import Path
from unrolled.vision.runtime import start_session
start_session(Path(sys.argv[1]).read_bytes(), where="here")
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere it keeps its files elsewhere"
)
def test_nothing_is_left_for_telemetry(tmp_path):
    write_own_encoder(tmp_path / "own.onnx")
    home = tmp_path / "home"
    home.mkdir()
    environment = surroundings(HOME=str(home), XDG_CACHE_HOME=str(home))
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run(
        [sys.executable, "-c", START, tmp_path / "own.onnx"], env=environment, check=True
    )
    assert list(home.rglob("*")) == []
