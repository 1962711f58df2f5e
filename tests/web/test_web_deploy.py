"""What starts and stops the service elsewhere gives it the time and the files that it needs."""

from __future__ import annotations

import re
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
