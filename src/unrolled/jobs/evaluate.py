"""A captioner scored on a split of a data set, and how sure the scores are."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.captioner import Caption, Captioner, Decoding
from unrolled.data import (
    CaptionSet,
    FeatureStore,
    RowsOfFeatures,
    read_captions,
    read_coco_captioning,
)
from unrolled.data.feature_file import GRID, POOLED
from unrolled.errors import FeatureStoreError, ImageError, InputError
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
from unrolled.metrics import (
    Comparison,
    Diversity,
    Interval,
    ReferenceSet,
    Scores,
    compare,
    diversity,
    from_coco_results,
    intervals,
    known_captions,
    score,
)

SEED = 0
"""Of the draws that intervals and p-values are made of."""

MAX_RESULTS_BYTES = 1 << 30
"""Length of a file of captions beyond which it is refused."""

Progress = Generator[FeatureProgress | Note, None, tuple[CaptionSet, list[Caption]]]


class Evaluation(NamedTuple):
    """What a captioner said, and how it scored.

    Attributes
    ----------
    captions : dict of str to Caption
        By the photo's name.
    references : dict of str to tuple of str
        What people said.
    scores : Scores
    intervals : dict of str to Interval
        95 % of each score: the bootstrap over photos.
    diversity : Diversity
        Of the captions; the captions of the data's train split are those that are not new.
    people : Diversity
        Of each photo's first reference, to set it beside.
    paths : dict of str to (Path or None)
        Where the photos lie.
    against : dict of str to Comparison, or None
        The scores beside another captioner's.
    """

    captions: dict[str, Caption]
    references: dict[str, tuple[str, ...]]
    scores: Scores
    intervals: dict[str, Interval]
    diversity: Diversity
    people: Diversity
    paths: dict[str, Path | None]
    against: dict[str, Comparison] | None = None


def evaluate(
    captioner: Captioner,
    data: DataConfig,
    split: str,
    *,
    metrics: Sequence[str] = ("BLEU", "ROUGE", "CIDEr"),
    tokenizer: str = "unrolled",
    decoding: Decoding | None = None,
    encoder: str | None = None,
    against: Captioner | Path | None = None,
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
    against : Captioner or Path, optional
        Another captioner, which searches as it says itself, or a file of captions of the same
        photos in COCO's result format: the scores are tested against those of its captions. Where
        the features are not of the other's encoder, photos are encoded for it.

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
        If the split has no photos that can be read, a metric or tokeniser is unknown, or the other
        captions are of other photos.
    MissingExtraError
        If a metric or tokeniser needs what is not installed; before anything is encoded.
    """
    _try_scorers(metrics, tokenizer)
    everything = read_captions(data.path, format=data.format, photos=data.photos)
    photos = everything.split(split)
    if isinstance(against, Path):  # before the long work
        texts_against = from_coco_results(_read_json(against), [photo.name for photo in photos])
    photos, captions = yield from _caption(photos, captioner, data, split, decoding, encoder)
    if isinstance(against, Captioner):
        others, said = yield from _caption_too(photos, against, data, split)
        texts_against = {p.name: c.text for p, c in zip(others, said, strict=True)}
    by_name = {photo.name: c for photo, c in zip(photos, captions, strict=True)}
    references = {photo.name: photo.captions for photo in photos}
    texts = {name: caption.text for name, caption in by_name.items()}
    made_ready = ReferenceSet(references, tokenizer=tokenizer)
    scores = made_ready.score(texts, metrics=metrics)
    comparison = None
    if against is not None:
        theirs = {name: texts_against[name] for name in texts if name in texts_against}
        comparison = compare(
            scores, made_ready.score(theirs, metrics=metrics), np.random.default_rng(SEED)
        )
    training = [text for photo in everything if photo.split == "train" for text in photo.captions]
    known = known_captions(training) if training else None
    yield Evaluation(
        by_name,
        references,
        scores,
        intervals(scores, np.random.default_rng(SEED)),
        diversity(texts.values(), known),
        diversity((said[0] for said in references.values()), known),
        {photo.name: photo.path for photo in photos},
        comparison,
    )


def _try_scorers(metrics: Sequence[str], tokenizer: str) -> None:
    """Score one caption, to know before the long work that what scoring needs is there."""
    text = "a dog runs here"
    score({"": text}, {"": [text]}, metrics=metrics, tokenizer=tokenizer)


def _read_json(path: Path) -> object:
    try:
        if path.stat().st_size > MAX_RESULTS_BYTES:
            raise InputError(f"{path}: more than the {MAX_RESULTS_BYTES:,} bytes that are read")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: neither a model folder nor a JSON file of captions that can be read "
            f"({error}); `unrolled evaluate --out` writes one"
        ) from error


def _caption(
    photos: CaptionSet,
    captioner: Captioner,
    data: DataConfig,
    split: str,
    decoding: Decoding | None,
    encoder: str | None,
) -> Progress:
    """Caption photos by the features that there are, or that are made now."""
    if photos.format == BROUGHT:
        features = _brought(photos, data, captioner)
        return photos, captioner.caption_features(features, decoding=decoding)
    if data.features is None:
        return (yield from _caption_photos(photos, captioner, decoding, encoder))
    kind = GRID if captioner.sees_grid else POOLED
    store = open_store(data.features, kind)
    store.check_encoder(captioner.encoder)
    photos, notes = with_features(photos, store, split)
    yield from map(Note, notes)
    rows = RowsOfFeatures(store.array(kind), store.rows(photo.name for photo in photos))
    return photos, captioner.caption_features(rows, decoding=decoding)


def _caption_too(
    photos: CaptionSet, captioner: Captioner, data: DataConfig, split: str
) -> Progress:
    """Caption the same photos by another captioner, whose encoder may be another."""
    if data.features is not None and photos.format != BROUGHT:
        try:
            FeatureStore.open(data.features).check_encoder(captioner.encoder)
        except FeatureStoreError:
            if any(photo.path is None for photo in photos):
                raise
            yield Note(f"{data.features} is not of the other captioner's encoder: encoding photos")
            data = dataclasses.replace(data, features=None)
    return (yield from _caption(photos, captioner, data, split, None, None))


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
