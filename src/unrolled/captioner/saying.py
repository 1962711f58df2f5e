"""What captioners say of features and of photos: one alone, or several with one voice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from unrolled.captioner.decoding import Caption, Decoding
from unrolled.data import RowsOfFeatures
from unrolled.decoding import Ensemble, Rules
from unrolled.errors import EncoderError, ImageError, InputError
from unrolled.layers.arrays import Array
from unrolled.vision import Encoder, PhotoFeatures

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
        From 32 to 1,024.
    """
    return min(max(HYPOTHESES // width, 32), 1024)


def say_features(
    members: Sequence[Captioner], features: Sequence[Features], decoding: Decoding
) -> list[list[Caption]]:
    """Find captions of images by their features.

    Parameters
    ----------
    members : sequence of M Captioner
    features : sequence of M, (N, ...) each
        Of its captioner's encoder, and of the same images.
    decoding : Decoding

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
    alone = len(members) == 1
    models = [member.model for member in members]
    speaker = (models[0] if alone else Ensemble(models)).ready(decoding.precision)
    found = []
    count = images_together(decoding.width)
    for start in range(0, len(features[0]), count):
        rows = [np.ascontiguousarray(each[start : start + count]) for each in features]
        taken = rows[0] if alone else rows
        found += decoding.find(speaker, taken, members[0].vocabulary, rows)
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
    encoders = load_encoders(members, encoder)
    grid = [
        any(m.sees_grid for m in members if key_of(m.encoder) == key_of(each.identity))
        for each in encoders
    ]
    first = encoders[0].features(
        map(Path, paths), batch_size=batch_size, grid=grid[0], on_error=on_error or "raise"
    )
    while batch := list(itertools.islice(first, batch_size)):
        encoded = [batch]
        for each, with_grid in zip(encoders[1:], grid[1:], strict=True):
            again = (photo.path for photo in batch)  # all of them have just been read
            encoded.append(list(each.features(again, batch_size=batch_size, grid=with_grid)))
        by_encoder = {
            key_of(each.identity): photos for each, photos in zip(encoders, encoded, strict=True)
        }
        rows = [
            np.stack([features_for(member, photo) for photo in by_encoder[key_of(member.encoder)]])
            for member in members
        ]
        captions = say_features(members, rows, decoding)
        yield from zip((photo.path for photo in batch), captions, strict=True)


def key_of(identity: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Give an encoder's identity as what a dict can find it by.

    Parameters
    ----------
    identity : mapping of str to str

    Returns
    -------
    tuple of pairs of str
    """
    return tuple(sorted(identity.items()))


def load_encoders(members: Sequence[Captioner], name: str | None) -> list[Encoder]:
    """Load each encoder that a captioner wants, once.

    Parameters
    ----------
    members : sequence of Captioner
    name : str or None
        What to find the encoder by that has an ONNX file of one's own in it.

    Returns
    -------
    list of Encoder

    Raises
    ------
    EncoderError
        If the encoder here is not the one a model was trained with.
    """
    where = "the captioner's model"
    wanted = {key_of(member.encoder): member.encoder for member in members}
    if name is None or len(wanted) == 1:
        return [
            Encoder.from_identity(identity, where=where, name=name) for identity in wanted.values()
        ]
    named = Encoder.load(name)
    if key_of(named.identity) not in wanted:
        raise EncoderError(f"{name}: none of the models was trained with this encoder")
    return [
        named if key == key_of(named.identity) else Encoder.from_identity(identity, where=where)
        for key, identity in wanted.items()
    ]


def features_for(member: Captioner, photo: PhotoFeatures) -> Array:
    """Choose, of a photo's features, those that the captioner's model takes.

    Parameters
    ----------
    member : Captioner
    photo : PhotoFeatures

    Returns
    -------
    (D,) or (L, D) float32
    """
    if not member.sees_grid or photo.grid is None:
        return photo.pooled
    return photo.grid.reshape(-1, photo.grid.shape[-1])
