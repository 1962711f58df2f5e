"""Where a split's features come from: a store, or the data set itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unrolled.data import CaptionSet, CocoCaptioning, FeatureStore
from unrolled.layers.arrays import Array
from unrolled.vision.views import WHOLE

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


def open_store(path: str | Path, kind: str, views: Sequence[str] = (WHOLE,)) -> FeatureStore:
    """Open a feature store and read what is wanted of it once: damage is noticed nowhere else.

    Parameters
    ----------
    path : path
    kind : str
        ``"pooled"`` or ``"grid"``.
    views : sequence of str

    Returns
    -------
    FeatureStore

    Raises
    ------
    FeatureStoreError
        If it is missing or damaged, or has no such features.
    """
    store = FeatureStore.open(path)
    for view in views:
        store.array(kind, view)
    store.verify([kind], views)
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
