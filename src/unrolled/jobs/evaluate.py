"""A captioner scored on a split of a data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.captioner import Caption, Captioner, Decoding
from unrolled.data import CaptionSet, RowsOfFeatures, read_captions, read_coco_captioning
from unrolled.data.feature_file import GRID, POOLED
from unrolled.errors import ImageError, InputError
from unrolled.jobs.config import DataConfig
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
from unrolled.metrics import Scores, score


class Evaluation(NamedTuple):
    """What a captioner said, and how it scored.

    Attributes
    ----------
    captions : dict of str to Caption
        By the photo's name.
    references : dict of str to tuple of str
        What people said.
    scores : Scores
    """

    captions: dict[str, Caption]
    references: dict[str, tuple[str, ...]]
    scores: Scores


def evaluate(
    captioner: Captioner,
    data: DataConfig,
    split: str,
    *,
    metrics: Sequence[str] = ("BLEU", "ROUGE", "CIDEr"),
    tokenizer: str = "unrolled",
    decoding: Decoding | None = None,
    encoder: str | None = None,
) -> Iterator[FeatureProgress | Note | Evaluation]:
    """Caption a split's photos and score the captions.

    Photos that cannot be read, or that a feature store lacks, are left out, and told of.

    Parameters
    ----------
    captioner : Captioner
    data : DataConfig
        Its ``path``, ``format``, ``photos`` and ``features``.
    split : str
        ``"train"``, ``"dev"`` or ``"test"``.
    metrics, tokenizer
        See `unrolled.metrics.score`.
    decoding : Decoding, optional
        How to search; as the captioner says unless given.
    encoder : str, optional
        See `unrolled.captioner.Captioner.caption_photos`.

    Yields
    ------
    FeatureProgress
        While photos are encoded, and for each that cannot be read.
    Note
        On photos that were left out.
    Evaluation
        Once, at the end.

    Raises
    ------
    CaptionFileError, FeatureStoreError, EncoderError
        If captions or features cannot be used.
    InputError
        If the split has no photos that can be read, or a metric or tokeniser is unknown.
    MissingExtraError
        If a metric or tokeniser needs what is not installed; before anything is encoded.
    """
    _try_scorers(metrics, tokenizer)
    photos = read_captions(data.path, format=data.format, photos=data.photos).split(split)
    if photos.format == BROUGHT:
        features = _brought(photos, data, captioner)
        captions = captioner.caption_features(features, decoding=decoding)
    elif data.features is None:
        photos, captions = yield from _caption_photos(photos, captioner, decoding, encoder)
    else:
        kind = GRID if captioner.sees_grid else POOLED
        store = open_store(data.features, kind)
        store.check_encoder(captioner.encoder)
        photos, notes = with_features(photos, store, split)
        yield from map(Note, notes)
        rows = RowsOfFeatures(store.array(kind), store.rows(photo.name for photo in photos))
        captions = captioner.caption_features(rows, decoding=decoding)
    by_name = {photo.name: c for photo, c in zip(photos, captions, strict=True)}
    references = {photo.name: photo.captions for photo in photos}
    texts = {name: caption.text for name, caption in by_name.items()}
    scores = score(texts, references, metrics=metrics, tokenizer=tokenizer)
    yield Evaluation(by_name, references, scores)


def _try_scorers(metrics: Sequence[str], tokenizer: str) -> None:
    """Score one caption, to know before the long work that what scoring needs is there."""
    text = "a dog runs here"
    score({"": text}, {"": [text]}, metrics=metrics, tokenizer=tokenizer)


def _caption_photos(
    photos: CaptionSet, captioner: Captioner, decoding: Decoding | None, encoder: str | None
) -> Generator[FeatureProgress, None, tuple[CaptionSet, list[Caption]]]:
    """Encode and caption a split's photos here and now, but for those that cannot be read."""
    paths = [photo.path for photo in photos if photo.path is not None]
    if len(paths) < len(photos):
        raise InputError(
            f"{len(photos) - len(paths):,} of {len(photos):,} photos are not there; say where they "
            "are with --photos, or give a feature store with --features"
        )
    bad: dict[Path, ImageError] = {}
    captions: list[Caption] = []
    for _, caption in captioner.caption_photos(
        paths, decoding=decoding, on_error=bad.__setitem__, encoder=encoder
    ):
        captions.append(caption)
        yield FeatureProgress(len(captions) + len(bad), len(paths))
    for error in bad.values():
        yield FeatureProgress(len(paths), len(paths), error)
    if not captions:
        raise InputError(f"none of the {len(paths):,} photos can be read")
    kept = tuple(photo for photo in photos if photo.path not in bad)
    return dataclasses.replace(photos, photos=kept), captions


def _brought(photos: CaptionSet, data: DataConfig, captioner: Captioner) -> Array:
    """Take the features that the data set brings."""
    if dict(captioner.encoder) != BROUGHT_ENCODER:
        raise InputError(
            f"{data.path}: its features were made by {BROUGHT_ENCODER['name']}, and the captioner "
            f"was trained on those of {captioner.encoder.get('name')}; evaluate it on other data"
        )
    features, rows = brought_rows(read_coco_captioning(data.path), photos)
    return np.asarray(features[rows])
