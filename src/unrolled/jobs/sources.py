"""Where a split's features come from: a store, its photos, or the data set itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from pathlib import Path

import numpy as np

from unrolled.data import CaptionSet, CocoCaptioning, FeatureStore
from unrolled.errors import ImageError, InputError
from unrolled.jobs.features import FeatureProgress
from unrolled.layers.arrays import Array
from unrolled.vision import Encoder

BROUGHT = "coco_captioning"
"""The layout that brings its features (`unrolled.data.read_coco_captioning`)."""

BROUGHT_ENCODER = {
    "name": "coco2014_vgg16_fc7_pca",
    "weights": "not known",
    "input": "not known",
}
"""The identity of what made them."""


def brought_rows(data: CocoCaptioning, photos: CaptionSet) -> tuple[Array, Array]:
    """Find the features that the data set itself has of one split.

    Parameters
    ----------
    data : CocoCaptioning
    photos : CaptionSet
        Of one split.

    Returns
    -------
    features : (F, D) float32
    rows : (P,) int
        Each photo's row.
    """
    features = data.splits[photos.photos[0].split or ""].features
    return features, np.array([int(photo.name.rpartition("/")[2]) for photo in photos])


def open_store(path: str | Path) -> FeatureStore:
    """Open a feature store and read every byte of it once: a damaged one is noticed nowhere else.

    Parameters
    ----------
    path : path

    Returns
    -------
    FeatureStore

    Raises
    ------
    FeatureStoreError
        If it is missing or damaged.
    """
    store = FeatureStore.open(path)
    store.verify()
    return store


def with_features(
    photos: CaptionSet, store: FeatureStore, split: str
) -> tuple[CaptionSet, list[str]]:
    """Leave out the photos of a split that a store lacks.

    Parameters
    ----------
    photos : CaptionSet
    store : FeatureStore
    split : str
        Its name, for the note.

    Returns
    -------
    photos : CaptionSet
    notes : list of str
        How many were left out, if any were.

    Raises
    ------
    FeatureStoreError
        If the store has none of them.
    """
    kept = tuple(photo for photo in photos if photo.name in store)
    if not kept:
        store.rows(photo.name for photo in photos)  # says what is missing
    missing = [photo.name for photo in photos if photo.name not in store]
    if not missing:
        return photos, []
    some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    note = (
        f"{len(missing):,} of {len(photos):,} photos of {split} are left out: "
        f"{store.path} has no features of them ({some})"
    )
    return dataclasses.replace(photos, photos=kept), [note]


def encode_photos(
    photos: CaptionSet, encoder: Encoder
) -> Generator[FeatureProgress, None, tuple[CaptionSet, Array]]:
    """Encode a split's photos here and now, but for those that cannot be read.

    Parameters
    ----------
    photos : CaptionSet
    encoder : Encoder

    Yields
    ------
    FeatureProgress

    Returns
    -------
    photos : CaptionSet
        Those that can be read.
    features : (P, D) float32

    Raises
    ------
    InputError
        If photos are not there, or none can be read.
    """
    paths = [photo.path for photo in photos if photo.path is not None]
    if len(paths) < len(photos):
        raise InputError(
            f"{len(photos) - len(paths):,} of {len(photos):,} photos are not there; say where they "
            "are with --photos, or give a feature store with --features"
        )
    bad: dict[Path, ImageError] = {}
    rows: list[Array] = []
    for photo in encoder.features(paths, on_error=bad.__setitem__):
        rows.append(photo.pooled)
        yield FeatureProgress(len(rows) + len(bad), len(paths))
    for error in bad.values():
        yield FeatureProgress(len(paths), len(paths), error)
    if not rows:
        raise InputError(f"none of the {len(paths):,} photos can be read")
    kept = tuple(photo for photo in photos if photo.path not in bad)
    return dataclasses.replace(photos, photos=kept), np.stack(rows)
