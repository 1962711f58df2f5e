"""The encoders against the reference implementation in PyTorch, on photos."""

from __future__ import annotations

import contextlib
import io
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from made_photos import SHARED, made_photo
from PIL import Image

from unrolled.vision import ENCODERS, Encoder, load_photo

pytestmark = pytest.mark.peers

FLICKR8K = SHARED / "flickr8k" / "Flicker8k_Dataset"


def photo_files(folder: Path) -> list[Path]:
    """Four of Flickr8k's training photos where they are at hand, and four made here."""
    found = sorted(FLICKR8K.glob("*.jpg"))[:4] if FLICKR8K.is_dir() else []
    for seed in range(4):
        path = folder / f"made-{seed}.jpg"
        made_photo(seed, 640, 480).save(path, quality=92)
        found.append(path)
    return found


def reference(name: str, size: int, paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """The reference's grid and pooled features, on its own preprocessing."""
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("efficientnet_lite_pytorch")
    spec = ENCODERS[name]
    file = resources.files(spec.package) / "models" / spec.file
    with contextlib.redirect_stdout(io.StringIO()):  # the peer prints
        network = peer.EfficientNet.from_pretrained(
            f"efficientnet-{name}", weights_path=str(file), image_size=size
        ).eval()
    squashed = [
        Image.open(path).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        for path in paths
    ]
    inputs = (np.stack([np.asarray(image) for image in squashed]).astype(np.float32) - 127) / 128
    with torch.inference_mode():
        grid = network.extract_features(torch.from_numpy(inputs.transpose(0, 3, 1, 2).copy()))
        pooled = network._avg_pooling(grid).flatten(1)
    return pooled.numpy(), grid.permute(0, 2, 3, 1).numpy()


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Similarity along the last axis; two vectors of nothing but zeros are alike."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    both_zero = ~a.any(axis=-1) & ~b.any(axis=-1)
    return np.where(both_zero, 1.0, (a * b).sum(-1) / np.where(norms > 0, norms, 1.0))


@pytest.mark.parametrize(
    ("name", "size"),
    [("lite0", 224), ("lite1", 240), ("lite2", 260), ("lite0", 289), ("lite2", 320)],
)
def test_features_equal_the_reference(
    name: str, size: int, tmp_path: Path, cache_folder: Path
) -> None:
    paths = photo_files(tmp_path)
    encoder = Encoder.load(name, size=size, cache=cache_folder)
    pooled, grid = encoder.encode(np.stack([load_photo(path, size) for path in paths]), grid=True)
    expected_pooled, expected_grid = reference(name, size, paths)
    assert grid.shape == expected_grid.shape
    assert cosine(pooled, expected_pooled).min() > 0.99999
    assert cosine(grid, expected_grid).min() > 0.99999
    np.testing.assert_allclose(pooled, expected_pooled, atol=1e-4)
    np.testing.assert_allclose(grid, expected_grid, atol=1e-3)
