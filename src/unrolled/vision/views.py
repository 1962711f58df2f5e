"""Views of a photo: whole, mirrored, and cropped to its corners, for augmentation in training."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.vision.photos import MAX_PIXELS, load_squares

__all__ = ["AUGMENTATIONS", "VIEWS", "WHOLE", "check_views", "crop_from", "load_views"]

WHOLE = "whole"
"""The view that captions are made from."""

VIEWS = (WHOLE, "flipped", "top_left", "top_right", "bottom_left", "bottom_right")
"""Every view there is. A corner holds seven eighths of the photo's width and height."""

AUGMENTATIONS = {"none": VIEWS[:1], "flip": VIEWS[:2], "crops": VIEWS}
"""Which views a training draws from, by the name of the augmentation."""


def crop_from(size: int) -> int:
    """Side in pixels that a photo is squashed to, for crops of ``size`` pixels."""
    return -(-size * 8 // 7)


def check_views(views: Sequence[str]) -> None:
    """Refuse views that are none.

    Raises
    ------
    InputError
        A view is unknown, or there is none.
    """
    if not views or any(view not in VIEWS for view in views):
        raise InputError(f"expected views of {', '.join(VIEWS)}, got {', '.join(views) or 'none'}")


def load_views(
    source: str | os.PathLike[str] | bytes,
    sizes: Sequence[int],
    views: Sequence[str],
    *,
    max_pixels: int = MAX_PIXELS,
) -> tuple[NDArray[np.uint8], ...]:
    """Decode a photo once and give its views at several sizes.

    Parameters
    ----------
    source : path or bytes
        A file, or a whole file's content.
    sizes : sequence of int
        Sides in pixels.
    views : sequence of str
        Of `VIEWS`. ``whole`` comes out the same whatever the others are.
    max_pixels : int
        Width times height beyond which the photo is refused before it is decoded.

    Returns
    -------
    tuple of ndarray of uint8, (len(views), size, size, 3) for each of ``sizes``

    Raises
    ------
    ImageError
        The file is no photo that can be read.
    InputError
        A view is unknown, there is none, or a size is not positive.
    """
    check_views(views)
    plain = {*views} & {"flipped", WHOLE}
    cropped = {*views} - plain
    wanted = {*(sizes if plain else ()), *(map(crop_from, sizes) if cropped else ())}
    order = sorted(wanted)
    loaded = load_squares(source, order, detail=max(sizes), max_pixels=max_pixels)
    squares = dict(zip(order, loaded, strict=True))
    if len(views) == 1:
        return tuple(_view(squares, size, views[0])[None] for size in sizes)
    return tuple(np.stack([_view(squares, size, view) for view in views]) for size in sizes)


def _view(squares: dict[int, NDArray[np.uint8]], size: int, view: str) -> NDArray[np.uint8]:
    if view == WHOLE:
        return squares[size]
    if view == "flipped":
        return squares[size][:, ::-1]
    larger = squares[crop_from(size)]
    rows, columns = view.split("_")
    down = slice(size) if rows == "top" else slice(-size, None)
    across = slice(size) if columns == "left" else slice(-size, None)
    return larger[down, across]
