"""Captions and features of a data set, made ready for training and scoring."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.data import (
    CaptionSet,
    FeatureStore,
    Photo,
    RowsOfFeatures,
    Vocabulary,
    encode_captions,
    read_captions,
    read_coco_captioning,
    tokenize,
)
from unrolled.data.feature_file import GRID, POOLED
from unrolled.errors import ImageError, InputError
from unrolled.jobs.config import DataConfig
from unrolled.jobs.features import FeatureProgress, write_features
from unrolled.jobs.sources import (
    BROUGHT,
    BROUGHT_ENCODER,
    brought_rows,
    open_store,
    with_features,
)
from unrolled.layers.arrays import Array
from unrolled.layers.scaling import FeatureScaling
from unrolled.vision import AUGMENTATIONS, Encoder

_PHOTOS_AT_ONCE = 64


class Split(NamedTuple):
    """One split, as arrays for the model and texts for the scorers.

    Attributes
    ----------
    captions : (M, T) int32
        START, words, END, then NULL.
    lengths : (M,) int32
        Ids before the padding.
    caption_rows : (M,) int
        Row of ``features`` that belongs to each caption.
    features : (F, D) float32, or (F, L, D) float16 for a model that looks at places
        Memory-mapped, where they come from a feature store.
    photo_rows : (P,) int
        Row of ``features`` of each photo of this split.
    references : mapping of str to tuple of str
        Each photo's captions by its name, in the order of ``photo_rows``.
    more_views : tuple of arrays like ``features``
        Of other views of the photos, for training.
    """

    captions: Array
    lengths: Array
    caption_rows: Array
    features: Array
    photo_rows: Array
    references: Mapping[str, tuple[str, ...]]
    more_views: tuple[Array, ...] = ()


class TrainingData(NamedTuple):
    """What a run trains on and is scored on."""

    vocabulary: Vocabulary
    encoder: Mapping[str, str]
    train: Split
    dev: Split
    notes: tuple[str, ...]


def prepare(
    config: DataConfig, out: Path, vocabulary: Vocabulary | None = None, *, grid: bool = False
) -> Iterator[FeatureProgress | TrainingData]:
    """Read captions, find or make features, and turn both into arrays.

    Photos that cannot be read, or that a feature store lacks, are left out, and told of.

    Parameters
    ----------
    config : DataConfig
    out : Path
        The run's folder; features that are made are kept there.
    vocabulary : Vocabulary, optional
        That of a run that goes on; built from the training captions unless given.
    grid : bool
        Give the features at places of the photos instead of the pooled ones.

    Yields
    ------
    FeatureProgress
        While features are made, and for each photo that cannot be read.
    TrainingData
        Once, at the end.

    Raises
    ------
    CaptionFileError
        If the captions cannot be read.
    FeatureStoreError, EncoderError
        If features are missing or damaged, and cannot be made.
    InputError
        If there are no captions to train on, or none to be scored on; if no photo can be read.
    """
    captions = read_captions(config.path, format=config.format, photos=config.photos)
    splits = {split: captions.split(split) for split in ("train", "dev")}
    if captions.format == BROUGHT:
        if grid:
            raise InputError(
                f"{config.path}: brings pooled features, and this model's cell looks at places of "
                "a photo; choose a cell that does not"
            )
        yield _brought(captions, config)
        return
    views = AUGMENTATIONS[config.augment]
    if config.features is None:
        path = out / "features.safetensors"
        yield from _make_features(splits, path, config.encoder, grid, views)
    else:
        path = Path(config.features)
    kind = GRID if grid else POOLED
    store = open_store(path, kind, views)
    notes = list(captions.notes)
    for split, photos in splits.items():
        splits[split], missing = with_features(photos, store, split)
        notes += missing
    words = vocabulary or _learn_words(splits["train"], config.min_count)
    arrays = [store.array(kind, view) for view in views]
    train = _split(splits["train"], "train", store, arrays, words, config.max_words)
    dev = _split(splits["dev"], "dev", store, arrays[:1], words, config.max_words)
    yield TrainingData(words, store.encoder, train, dev, tuple(notes))


def _learn_words(photos: CaptionSet, min_count: int) -> Vocabulary:
    """Make the vocabulary of what people said of the photos, and measure how rare its words are."""

    def said(photo: Photo) -> list[list[str]]:
        return [tokenize(caption) for caption in photo.captions]

    captions = (words for photo in photos for words in said(photo))
    return Vocabulary.build(captions, min_count=min_count).weigh(map(said, photos))


def fingerprint(split: Split) -> str:
    """Digest what a split trains on: its captions, and which photo each is about.

    Parameters
    ----------
    split : Split

    Returns
    -------
    str
        SHA-256; the order of rows in a feature store does not enter.
    """
    name_of = dict(zip(split.photo_rows.tolist(), split.references, strict=True))
    names = [name_of[row] for row in split.caption_rows.tolist()]
    digest = hashlib.sha256(json.dumps([split.captions.shape, names]).encode())
    for array in (split.captions, split.lengths):
        digest.update(array.astype("<i4").tobytes())
    return digest.hexdigest()


def measure_scaling(split: Split) -> FeatureScaling:
    """Measure what standardises the features of a split's photos, as they are and once each.

    Parameters
    ----------
    split : Split

    Returns
    -------
    FeatureScaling
        Over the photos, or over all their places.
    """
    rows = RowsOfFeatures(split.features, np.unique(split.caption_rows))
    parts = (rows[at : at + _PHOTOS_AT_ONCE] for at in range(0, len(rows), _PHOTOS_AT_ONCE))
    return FeatureScaling.fit(parts)


def _make_features(
    splits: Mapping[str, CaptionSet], path: Path, encoder: str, grid: bool, views: Sequence[str]
) -> Iterator[FeatureProgress]:
    """Encode the photos of all splits, unless the run's folder has their features already."""
    photos = [photo for split in splits.values() for photo in split]
    lost = [photo.name for photo in photos if photo.path is None]
    if lost:
        raise InputError(
            f"{len(lost):,} photos are not there ({lost[0]}, ...); say where they are with "
            "--photos, or give a feature store with --features"
        )
    named = {photo.name: photo.path for photo in photos if photo.path is not None}
    loaded = Encoder.load(encoder)
    if path.exists():
        store = FeatureStore.open(path)
        store.check_encoder(loaded.identity)
        # A photo that could not be read when the store was made may have been mended since.
        bad: list[ImageError] = []
        missing = (path for name, path in named.items() if name not in store)
        has_all = {*views} <= {*store.views} and not (grid and store.grid is None)
        if has_all and not any(
            loaded.features(missing, on_error=lambda _, error: bad.append(error))
        ):
            yield from (FeatureProgress(len(named), len(named), error) for error in bad)
            return
    yield from write_features(named, path, loaded, grid=grid, views=views, skip_bad=True)


def _split(
    photos: CaptionSet,
    name: str,
    store: FeatureStore,
    arrays: Sequence[Array],
    words: Vocabulary,
    longest: int,
) -> Split:
    captions, lengths, photo_index = encode_captions(photos, words, longest)
    if not len(captions):
        raise InputError(f"no caption of the {len(photos):,} photos in split {name!r} has a word")
    rows = store.rows(photo.name for photo in photos)
    references = {photo.name: photo.captions for photo in photos}
    features, *more = arrays
    return Split(captions, lengths, rows[photo_index], features, rows, references, tuple(more))


def _brought(captions: CaptionSet, config: DataConfig) -> TrainingData:
    """Take the assignment's own data: captions are ids there, and features are made already."""
    data = read_coco_captioning(config.path)
    splits = {}
    for name in ("train", "dev"):
        photos = captions.split(name)
        features, rows = brought_rows(data, photos)
        references = {photo.name: photo.captions for photo in photos}
        splits[name] = Split(*data.splits[name].encoded, features, rows, references)
    usual = DataConfig()
    idle = [
        name
        for name in ("features", "encoder", "augment", "min_count", "max_words")
        if getattr(config, name) != getattr(usual, name)
    ]
    notes = captions.notes
    if idle:
        notes += (
            f"{', '.join(idle)} not used: this data set brings its features and its vocabulary",
        )
    return TrainingData(data.vocabulary, BROUGHT_ENCODER, splits["train"], splits["dev"], notes)
