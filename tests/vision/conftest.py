"""Photos made here, and encoders loaded once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from unrolled.vision import Encoder

SHARED = Path(__file__).parents[2].parent / "shared"


def made_photo(seed: int, width: int = 320, height: int = 240) -> Image.Image:
    """A picture with gradients, edges, texture and noise, like a photo in its statistics."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        radius = int(rng.integers(5, 60))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x - radius, y - radius, x + radius, y + radius), fill=colour)
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(1)), np.int16)
    grain = rng.normal(0, 6, pixels.shape).astype(np.int16)
    return Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))


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
