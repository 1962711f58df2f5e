"""A split's photos captioned, by the features that there are or that are made now."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from unrolled.captioner import Caption, Captioner, Captioners, Decoding
from unrolled.data import CaptionSet, FeatureStore, RowsOfFeatures, read_coco_captioning
from unrolled.data.feature_file import GRID, POOLED
from unrolled.errors import FeatureStoreError, ImageError, InputError
from unrolled.jobs.events import Note
from unrolled.jobs.features import FeatureProgress
from unrolled.jobs.sources import (
    BROUGHT,
    BROUGHT_ENCODER,
    brought_rows,
    open_store,
    with_features,
)
from unrolled.layers.arrays import Array

Stores: TypeAlias = Sequence[str | Path]
Progress: TypeAlias = Generator[FeatureProgress | Note, None, tuple[CaptionSet, list[Caption]]]


def check_stores(stores: Stores, members: Sequence[Captioner]) -> None:
    """Refuse a feature store that no captioner can use.

    Parameters
    ----------
    stores : sequence of path
    members : sequence of Captioner

    Raises
    ------
    FeatureStoreError
        If one is missing, or was made by another encoder than theirs.
    """
    for path in stores:
        store = FeatureStore.open(path)
        if not any(_is_of(store, member.encoder) for member in members):
            store.check_encoder(members[0].encoder)  # says how they differ


def caption_split(
    photos: CaptionSet,
    together: Captioners,
    source: str,
    stores: Stores,
    *,
    decoding: Decoding | None = None,
    encoder: str | None = None,
) -> Progress:
    """Caption photos, but for those that cannot be read or that a store lacks.

    Parameters
    ----------
    photos : CaptionSet
        Of one split.
    together : Captioners
    source : str
        Where the captions came from; the data set itself may bring features.
    stores : sequence of path
        For each encoder one; photos are encoded where there is none at all.
    decoding : Decoding, optional
    encoder : str, optional

    Yields
    ------
    FeatureProgress, Note
        What is done, and what was left out.

    Returns
    -------
    photos : CaptionSet
    captions : list of Caption

    Raises
    ------
    FeatureStoreError, EncoderError
        If features cannot be used.
    InputError
        If no photo can be read.
    """
    if photos.format == BROUGHT:
        found = together.candidates(_brought(photos, source, together), decoding=decoding)
    elif stores:
        rows, photos, notes = _stored(photos, stores, together)
        yield from map(Note, notes)
        found = together.candidates(rows, decoding=decoding)
    else:
        photos, found = yield from _caption_photos(photos, together, decoding, encoder)
    return photos, [best for best, *_ in found]


def caption_too(photos: CaptionSet, other: Captioners, source: str, stores: Stores) -> Progress:
    """Caption the same photos by another captioner, whose encoder may be another.

    Parameters
    ----------
    photos : CaptionSet
    other : Captioners
    source : str
    stores : sequence of path

    Yields
    ------
    FeatureProgress, Note

    Returns
    -------
    photos : CaptionSet
    captions : list of Caption

    Raises
    ------
    FeatureStoreError, EncoderError, InputError
        As `caption_split`.
    """
    if stores and photos.format != BROUGHT and not _all_stored(stores, other):
        if any(photo.path is None for photo in photos):
            FeatureStore.open(stores[0]).check_encoder(other.members[0].encoder)
        names = ", ".join(map(str, stores))
        yield Note(f"{names} is not of the other captioner's encoder: encoding photos")
        stores = ()
    return (yield from caption_split(photos, other, source, stores))


def _is_of(store: FeatureStore, encoder: Mapping[str, str]) -> bool:
    try:
        store.check_encoder(encoder)
    except FeatureStoreError:
        return False
    return True


def _all_stored(stores: Stores, together: Captioners) -> bool:
    opened = [FeatureStore.open(path) for path in stores]
    return all(any(_is_of(store, m.encoder) for store in opened) for m in together.members)


def _stored(
    photos: CaptionSet, stores: Stores, together: Captioners
) -> tuple[list[RowsOfFeatures], CaptionSet, list[str]]:
    """Find each captioner's features in the stores, of the photos that all of these have."""
    open_once = functools.cache(open_store)
    split = photos.photos[0].split or ""
    used = []
    for member in together.members:
        own = [path for path in stores if _is_of(FeatureStore.open(path), member.encoder)]
        kind = GRID if member.sees_grid else POOLED
        store = open_once(own[0] if own else stores[0], kind)
        store.check_encoder(member.encoder)
        used.append((store, kind))
    notes: list[str] = []
    for store, _ in used:
        photos, more = with_features(photos, store, split)
        notes += more
    names = [photo.name for photo in photos]
    rows = [RowsOfFeatures(store.array(kind), store.rows(names)) for store, kind in used]
    return rows, photos, notes


def _caption_photos(
    photos: CaptionSet, together: Captioners, decoding: Decoding | None, encoder: str | None
) -> Generator[FeatureProgress, None, tuple[CaptionSet, list[list[Caption]]]]:
    """Encode and caption a split's photos here and now, but for those that cannot be read."""
    paths = [photo.path for photo in photos if photo.path is not None]
    if len(paths) < len(photos):
        raise InputError(
            f"{len(photos) - len(paths):,} of {len(photos):,} photos are not there; say where they "
            "are with --photos, or give a feature store with --features"
        )
    bad: dict[Path, ImageError] = {}
    found: list[list[Caption]] = []
    for _, captions in together.photo_candidates(
        paths, decoding=decoding, on_error=bad.__setitem__, encoder=encoder
    ):
        found.append(captions)
        yield FeatureProgress(len(found) + len(bad), len(paths))
    for error in bad.values():
        yield FeatureProgress(len(paths), len(paths), error)
    if not found:
        raise InputError(f"none of the {len(paths):,} photos can be read")
    kept = tuple(photo for photo in photos if photo.path not in bad)
    return dataclasses.replace(photos, photos=kept), found


def _brought(photos: CaptionSet, source: str, together: Captioners) -> list[Array]:
    """Take the features that the data set brings, for each captioner."""
    for captioner in together.members:
        if dict(captioner.encoder) != BROUGHT_ENCODER:
            raise InputError(
                f"{source}: its features were made by {BROUGHT_ENCODER['name']}, and the captioner "
                f"was trained on those of {captioner.encoder.get('name')}; evaluate it on other "
                "data"
            )
    features, rows = brought_rows(read_coco_captioning(source), photos)
    return [np.asarray(features[rows])] * len(together.members)
