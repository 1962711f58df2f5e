"""A captioner scored on a split of a data set, and how sure the scores are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unrolled.captioner import Caption, Captioner, Captioners, Decoding
from unrolled.data import read_captions
from unrolled.errors import InputError
from unrolled.jobs.captioning import caption_split, caption_too, check_stores
from unrolled.jobs.config import DataConfig
from unrolled.jobs.events import Note
from unrolled.jobs.features import FeatureProgress
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
    captioner: Captioner | Captioners,
    data: DataConfig,
    split: str,
    *,
    metrics: Sequence[str] = ("BLEU", "ROUGE", "CIDEr"),
    tokenizer: str = "unrolled",
    decoding: Decoding | None = None,
    encoder: str | None = None,
    features: Sequence[str | Path] = (),
    against: Captioner | Captioners | Path | None = None,
) -> Iterator[FeatureProgress | Note | Evaluation]:
    """Caption a split's photos and score the captions.

    Photos that cannot be read, or that a feature store lacks, are left out, and told of.

    Parameters
    ----------
    captioner : Captioner or Captioners
        One, or several that speak together.
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
    features : sequence of path
        Feature stores, one for each encoder; the data's ``features`` unless given.
    against : Captioner, Captioners or Path, optional
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
    together, other = _together(captioner), None
    if against is not None and not isinstance(against, Path):
        other = _together(against)
    stores = features or ([data.features] if data.features else ())
    check_stores(stores, [*together.members, *(other.members if other else ())])
    photos, captions = yield from caption_split(
        photos, together, data.path, stores, decoding=decoding, encoder=encoder
    )
    if other is not None:
        others, said = yield from caption_too(photos, other, data.path, stores)
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


def _together(captioner: Captioner | Captioners) -> Captioners:
    return captioner if isinstance(captioner, Captioners) else Captioners((captioner,))


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
