"""Views of a photo: the whole, its mirror image, its corners."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_photos import made_photo
from PIL import ImageOps

from unrolled.errors import InputError
from unrolled.vision import AUGMENTATIONS, VIEWS, Encoder, load_photo
from unrolled.vision.views import crop_from, load_views


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("views") / "photo.png"
    made_photo(3, 90, 70).save(path)
    return path


@pytest.mark.parametrize("size", [32, 63, 64])
def test_the_whole_is_the_photo_whatever_else_is_asked_for(photo: Path, size: int) -> None:
    expected = load_photo(photo, size)
    for views in AUGMENTATIONS.values():
        (pixels,) = load_views(photo, [size], views)
        assert pixels.shape == (len(views), size, size, 3)
        assert np.array_equal(pixels[0], expected)


def test_large_jpegs_are_decoded_alike_whatever_else_is_asked_for(tmp_path: Path) -> None:
    made_photo(1, 1200, 900).save(tmp_path / "large.jpg")
    # A quarter, 300 x 225, is twice 112, but not twice the 128 that the crops are taken from.
    (pixels,) = load_views(tmp_path / "large.jpg", [112], VIEWS)
    assert np.array_equal(pixels[0], load_photo(tmp_path / "large.jpg", 112))


def test_the_mirror_image_of_a_mirrored_photo_is_the_photo(photo: Path, tmp_path: Path) -> None:
    ImageOps.mirror(made_photo(3, 90, 70)).save(tmp_path / "mirrored.png")
    whole, flipped = load_views(photo, [64], ["whole", "flipped"])[0].astype(int)
    assert np.array_equal(flipped, whole[:, ::-1])
    again = load_views(tmp_path / "mirrored.png", [64], ["flipped"])[0][0]
    assert abs(again - whole).max() <= 1  # resizing rounds
    assert abs(flipped - whole).max() > 20, "a photo like its mirror image would prove nothing"


def test_corners_are_seven_eighths_of_the_photo(tmp_path: Path) -> None:
    side = crop_from(56)
    assert side == 64
    image = made_photo(5, side, side)
    image.save(tmp_path / "square.png")
    pixels = np.asarray(image)
    (corners,) = load_views(tmp_path / "square.png", [56], VIEWS[2:])
    expected = [pixels[:56, :56], pixels[:56, 8:], pixels[8:, :56], pixels[8:, 8:]]
    assert np.array_equal(corners, np.stack(expected))


def test_views_that_are_none(photo: Path) -> None:
    for views in ([], ["whole", "upside_down"]):
        with pytest.raises(InputError, match=r"expected views of whole, flipped, .*, got"):
            load_views(photo, [64], views)


def test_features_of_views(small_encoder: Encoder, photo_folder: Path) -> None:
    paths = sorted(photo_folder.glob("*.jpg"))[:5]
    found = list(small_encoder.features(paths, grid=True, views=VIEWS[:3], ahead=2))
    plain = list(small_encoder.features(paths, grid=True))
    assert [photo.path for photo in found] == paths
    for photo, whole in zip(found, plain, strict=True):
        assert photo.pooled.shape == (3, 1280)
        assert photo.grid.shape == (3, 2, 2, 1280)
        assert np.array_equal(photo.pooled[0], whole.pooled)
        assert np.array_equal(photo.grid[0], whole.grid)
        (pixels,) = load_views(photo.path, [64], VIEWS[1:3])
        assert np.array_equal(photo.pooled[1:], small_encoder.encode(pixels).pooled)
    with pytest.raises(InputError, match="got sideways"):
        small_encoder.features(paths, views=["sideways"])
