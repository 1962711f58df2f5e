"""What starts and stops the service elsewhere gives it the time and the files that it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unrolled.web.process import _END_SECONDS
from unrolled.web.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("deploy/unrolled.service", r"^TimeoutStopSec=(\d+)$"),
        ("deploy/Dockerfile", r"--stop-timeout (\d+)"),
        ("docs/serving.md", r"--stop-timeout (\d+)"),
        ("docs/zh/serving.md", r"--stop-timeout (\d+)"),
    ],
)
def test_nothing_kills_the_service_while_it_finishes_what_it_has_taken(file, pattern):
    [given] = re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"), re.M)
    settings = Settings()
    assert settings.stop_seconds > 2 * settings.seconds  # to arrive, and to be answered
    assert int(given) > settings.stop_seconds + 2 * _END_SECONDS


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@pytest.mark.parametrize("mistake", ["", "KilMode=mixed\n"])
def test_systemd_understands_every_line_of_the_unit(mistake, tmp_path):
    unit = (ROOT / "deploy/unrolled.service").read_text(encoding="utf-8")
    there = unit.replace("/opt/unrolled/bin/unrolled", sys.executable)  # it asks for the program
    file = tmp_path / "unrolled.service"
    file.write_text(there.replace("[Service]\n", f"[Service]\n{mistake}"), encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    doubts = [line for line in said.splitlines() if file.name in line]
    assert len(doubts) == bool(mistake), doubts  # with a mistake: so that silence tells something
