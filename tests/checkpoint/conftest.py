"""Tests of checkpoints save thousands of times."""

import pytest


@pytest.fixture(autouse=True)
def quick_flush(monkeypatch):
    """Leave out flushes to the disk: what they guard against, no test can make happen."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
