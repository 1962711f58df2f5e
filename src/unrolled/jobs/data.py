"""Captions and features of a data set, made ready for training and scoring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.data import (
    CaptionSet,
    FeatureStore,
    Vocabulary,
    encode_captions,
    read_captions,
    read_coco_captioning,
    tokenize,
)
from unrolled.errors import InputError
from unrolled.jobs.config import DataConfig
from unrolled.jobs.features import FeatureProgress, write_features
from unrolled.layers.arrays import Array
from unrolled.vision import Encoder


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
    features : (F, D) float32
        Memory-mapped, where they come from a feature store.
    photo_rows : (P,) int
        Row of ``features`` of each photo of this split.
    references : mapping of str to tuple of str
        Each photo's captions by its name, in the order of ``photo_rows``.
    """

    captions: Array
    lengths: Array
    caption_rows: Array
    features: Array
    photo_rows: Array
    references: Mapping[str, tuple[str, ...]]


class TrainingData(NamedTuple):
    """What a run trains on and is scored on."""

    vocabulary: Vocabulary
    encoder: Mapping[str, str]
    train: Split
    dev: Split
    notes: tuple[str, ...]


def prepare(
    config: DataConfig, out: Path, vocabulary: Vocabulary | None = None
) -> Iterator[FeatureProgress | TrainingData]:
    """Read captions, find or make features, and turn both into arrays.

    Parameters
    ----------
    config : DataConfig
    out : Path
        The run's folder; features that are made are kept there.
    vocabulary : Vocabulary, optional
        That of a run that goes on; built from the training captions unless given.

    Yields
    ------
    FeatureProgress
        While features are made.
    TrainingData
        Once, at the end.

    Raises
    ------
    CaptionFileError
        If the captions cannot be read.
    ImageError, FeatureStoreError, EncoderError
        If features are missing and cannot be made.
    InputError
        If there are no captions to train on, or none to be scored on.
    """
    captions = read_captions(config.path, format=config.format, photos=config.photos)
    for split in ("train", "dev"):
        captions.split(split)
    if captions.format == "coco_captioning":
        yield _from_assignment(captions, config)
        return
    if config.features is None:
        path = out / "features.safetensors"
        yield from _make_features(captions, path, config.encoder)
    else:
        path = Path(config.features)
    store = FeatureStore.open(path)
    words = vocabulary or Vocabulary.build(
        (tokenize(c) for photo in captions.split("train") for c in photo.captions),
        min_count=config.min_count,
    )
    yield TrainingData(
        words,
        store.encoder,
        _split(captions, "train", store, words, config.max_words),
        _split(captions, "dev", store, words, config.max_words),
        captions.notes,
    )


def _make_features(captions: CaptionSet, path: Path, encoder: str) -> Iterator[FeatureProgress]:
    """Encode the photos of train and dev, unless the run's folder has their features already."""
    photos = [*captions.split("train"), *captions.split("dev")]
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
        if set(named) <= set(store.names):
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    yield from write_features(named, path, loaded)


def _split(
    data: CaptionSet, name: str, store: FeatureStore, words: Vocabulary, longest: int
) -> Split:
    photos = data.split(name)
    captions, lengths, photo_index = encode_captions(photos, words, longest)
    if not len(captions):
        raise InputError(f"no caption of the {len(photos):,} photos in split {name!r} has a word")
    rows = store.rows(photo.name for photo in photos)
    references = {photo.name: photo.captions for photo in photos}
    return Split(captions, lengths, rows[photo_index], store.pooled, rows, references)


def _from_assignment(captions: CaptionSet, config: DataConfig) -> TrainingData:
    """Take the assignment's own data: captions are ids there, and features are made already."""
    data = read_coco_captioning(config.path)
    splits = {}
    for name in ("train", "dev"):
        encoded, features, _ = data.splits[name]
        photos = captions.split(name)
        rows = np.array([int(photo.name.rpartition("/")[2]) for photo in photos])  # its name is it
        references = {photo.name: photo.captions for photo in photos}
        splits[name] = Split(*encoded, features, rows, references)
    encoder = {"name": "coco2014_vgg16_fc7_pca", "weights": "not known", "input": "not known"}
    return TrainingData(data.vocabulary, encoder, splits["train"], splits["dev"], captions.notes)
