"""A captioner scored on a split of a data set."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from unrolled.captioner import Caption, Captioner, Decoding
from unrolled.data import CaptionSet, FeatureStore, read_captions
from unrolled.errors import InputError
from unrolled.jobs.config import DataConfig
from unrolled.jobs.features import FeatureProgress
from unrolled.layers.arrays import Array
from unrolled.metrics import Scores, score
from unrolled.vision import Encoder


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
) -> Iterator[FeatureProgress | Evaluation]:
    """Caption a split's photos and score the captions.

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

    Yields
    ------
    FeatureProgress
        While photos are encoded.
    Evaluation
        Once, at the end.

    Raises
    ------
    CaptionFileError, ImageError, FeatureStoreError, EncoderError
        If captions, photos or features cannot be used.
    InputError
        If the split has no photos, or a metric is unknown.
    """
    photos = read_captions(data.path, format=data.format, photos=data.photos).split(split)
    if data.features is None:
        features = yield from _encode(photos, captioner)
    else:
        store = FeatureStore.open(data.features)
        store.check_encoder(captioner.encoder)
        features = np.asarray(store.pooled[store.rows(photo.name for photo in photos)])
    captions = captioner.caption_features(features, decoding=decoding)
    by_name = {photo.name: c for photo, c in zip(photos, captions, strict=True)}
    references = {photo.name: photo.captions for photo in photos}
    texts = {name: caption.text for name, caption in by_name.items()}
    scores = score(texts, references, metrics=metrics, tokenizer=tokenizer)
    yield Evaluation(by_name, references, scores)


def _encode(photos: CaptionSet, captioner: Captioner) -> Generator[FeatureProgress, None, Array]:
    """Encode the photos here and now; the generator's value is their features."""
    paths = [photo.path for photo in photos if photo.path is not None]
    if len(paths) < len(photos):
        raise InputError(
            f"{len(photos) - len(paths):,} of {len(photos):,} photos are not there; say where they "
            "are with --photos, or give a feature store with --features"
        )
    encoder = Encoder.from_identity(captioner.encoder, where="the captioner's model")
    rows: list[Array] = []
    for photo in encoder.features(paths):
        rows.append(photo.pooled)
        yield FeatureProgress(len(rows), len(paths))
    return np.stack(rows)
