"""A running service, started as a person starts it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services import Service, started


@pytest.fixture(scope="session")
def serving(captioner_folder: Path) -> Callable[..., contextlib.AbstractContextManager[Service]]:
    """Start services of the small captioner."""
    pytest.importorskip("fastapi", reason="unrolled[serve] is not installed")
    pytest.importorskip("uvicorn", reason="unrolled[serve] is not installed")
    return lambda *flags, **environment: started("--model", captioner_folder, *flags, **environment)


@pytest.fixture(scope="session")
def service(serving) -> Iterator[Service]:
    """One that many tests ask."""
    with serving() as running:
        yield running


@pytest.fixture
def photo(photos: Path) -> bytes:
    """A photo that the small captioner knows."""
    return (photos / "00_red.jpg").read_bytes()
