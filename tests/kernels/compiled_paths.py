"""The compiled paths there may be, and whether this machine runs them."""

from __future__ import annotations

import pytest

NAMES = ("portable", "avx2", "avx512", "avx512_bf16", "amx")


def find_path(name):
    """The extension and its path, or a skip that says why."""
    extension = pytest.importorskip("unrolled.kernels._compiled")
    path, reason = extension.find(name)
    if path is None:
        pytest.skip(f"{name}: {reason}")
    return extension, path
