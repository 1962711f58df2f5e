"""What captioners say of features and of photos: one alone, or several with one voice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from unrolled.captioner.decoding import Caption, Decoding
from unrolled.captioner.seeing import Eyes
from unrolled.data import RowsOfFeatures
from unrolled.decoding import Ensemble, Rules, Speaker
from unrolled.errors import ImageError, InputError
from unrolled.layers.arrays import Array

if TYPE_CHECKING:
    from unrolled.captioner.captioner import Captioner

HYPOTHESES = 5120
"""Captions begun that are extended together; more no longer makes the products faster."""

Features: TypeAlias = "Array | RowsOfFeatures"
OnError: TypeAlias = Callable[[Path, ImageError], None]


def images_together(width: int) -> int:
    """How many images are decoded together.

    Parameters
    ----------
    width : int
        Captions begun of each.

    Returns
    -------
    int
        From 1 to 1,024.
    """
    return min(max(HYPOTHESES // width, 1), 1024)


def say_features(
    members: Sequence[Captioner],
    features: Sequence[Features],
    decoding: Decoding,
    speaker: Speaker | None = None,
) -> list[list[Caption]]:
    """Find captions of images by their features.

    Parameters
    ----------
    members : sequence of M Captioner
    features : sequence of M, (N, ...) each
        Of its captioner's encoder, and of the same images.
    decoding : Decoding
    speaker : Speaker, optional
        Of `ready_speaker`, with the precision of ``decoding``; laid out for this call by default.

    Returns
    -------
    list of N lists of Caption, best first

    Raises
    ------
    InputError
        If there are features for another number of captioners or images.
    """
    if len(features) != len(members) or len(set(map(len, features))) > 1:
        raise InputError(
            f"{len(members)} captioners want features of the same images each, got features of "
            f"{', '.join(f'{len(each):,}' for each in features)} images"
        )
    speaker = speaker or ready_speaker(members, decoding.precision)
    found = []
    count = images_together(decoding.width)
    for start in range(0, len(features[0]), count):
        rows = [np.ascontiguousarray(each[start : start + count]) for each in features]
        found += _say(members, speaker, rows, decoding)
    return found


def say_photos(
    members: Sequence[Captioner],
    paths: Iterable[str | Path],
    decoding: Decoding,
    *,
    batch_size: int,
    on_error: OnError | None,
    encoder: str | None,
) -> Iterator[tuple[Path, list[Caption]]]:
    """Find captions of photos, in their order, as they are ready.

    Parameters
    ----------
    members : sequence of Captioner
    paths : iterable of paths
    decoding : Decoding
    batch_size : int
    on_error : callable or None
    encoder : str or None

    Yields
    ------
    path : Path
    captions : list of Caption, best first
    """
    Rules(**decoding.rules).numbered(members[0].model.word_to_idx)  # before the photos are encoded
    eyes, speaker = Eyes(members, encoder), ready_speaker(members, decoding.precision)
    ahead = 2 * batch_size  # while one batch is captioned, the next is seen
    with closing(eyes.see_ahead(paths, ahead=ahead, on_error=on_error or "raise")) as seen:
        while batch := list(itertools.islice(seen, batch_size)):
            found, features = zip(*batch, strict=True)
            rows = [np.stack(of_all) for of_all in zip(*features, strict=True)]
            yield from zip(found, _say(members, speaker, rows, decoding), strict=True)


def ready_speaker(members: Sequence[Captioner], precision: str) -> Speaker:
    """Give who says the captions, with weights laid out once for all of them.

    Parameters
    ----------
    members : sequence of Captioner
    precision : "float32", "bfloat16" or "auto"
        See `unrolled.CaptioningRNN.ready`.

    Returns
    -------
    Speaker
    """
    models = [member.model for member in members]
    speaker = models[0] if len(models) == 1 else Ensemble(models)
    return speaker.ready(precision)


def _say(
    members: Sequence[Captioner], speaker: Speaker, rows: list[Array], decoding: Decoding
) -> list[list[Caption]]:
    """Find captions of the images of which there are rows of features for each captioner."""
    taken = rows[0] if len(rows) == 1 else rows
    return decoding.find(speaker, taken, members[0].vocabulary, rows)
