"""Photo files, and encoders loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_photos import made_photo

from unrolled.vision import Encoder


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def small_encoder(cache_folder: Path) -> Encoder:
    """The default network on 64-pixel photos: the same code, a twelfth of the work."""
    return Encoder.load("lite0", size=64, threads=2, cache=cache_folder)


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty JPEG files, 00.jpg to 19.jpg."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(20):
        made_photo(seed, 96, 80).save(folder / f"{seed:02}.jpg", quality=90)
    return folder
