"""Pictures made here, like photos in their statistics, and where real ones may lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

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
