"""Batches for the laboratory: several captioners read the same captions of the same photos."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from unrolled.captioner import Captioner
from unrolled.data import Photo, read_captions, tokenize
from unrolled.data.feature_file import GRID, POOLED
from unrolled.data.rows import take_rows
from unrolled.errors import InputError
from unrolled.jobs.lab.scenes import Progress, Scene, Source, encode_photos, load, to_ids
from unrolled.jobs.sources import BROUGHT, open_store, with_features
from unrolled.layers.arrays import Array
from unrolled.model import CaptioningRNN

SPLIT = "dev"
"""Of a data set's captions: nothing in here is trained on, and the test split is for the end."""


def look_at_several(
    photos: Sequence[str | Path], *, model: Source = None, encoder: str | None = None
) -> list[tuple[Path, str]]:
    """Let a captioner say several captions of each photo: those that its search ends with.

    Parameters
    ----------
    photos : sequence of path
    model : Source
    encoder : str, optional

    Returns
    -------
    list of (Path, str)

    Raises
    ------
    ImageError
        If a photo cannot be read.
    InputError
        If the captioner says no word of any.
    CheckpointError, EncoderError
        If the model or its encoder cannot be had.
    """
    found = load(model)
    paths = [Path(photo) for photo in photos]
    said = found.candidates(encode_photos(found, paths, encoder))
    told = [(path, each.text) for path, all_of in zip(paths, said, strict=True) for each in all_of]
    if not any(text for _, text in told):
        raise InputError("the captioner says no word of these photos; give captions of a data set")
    return [(path, text) for path, text in told if text]


def people_say(
    data: str | Path, count: int, *, store: str | Path | None = None
) -> list[tuple[Photo, str]]:
    """Take captions that people wrote, of photos spread evenly over a data set's dev split.

    Parameters
    ----------
    data : path
        In any layout of `unrolled.data.read_captions`, but for the one that brings its features.
    count : int
        Photos at most, a caption each.
    store : path, optional
        A feature store; photos that it lacks are passed over.

    Returns
    -------
    list of (Photo, str)

    Raises
    ------
    CaptionFileError, FeatureStoreError
        If the captions or the store cannot be read.
    InputError
        If count is below 1, or there are no captions.
    """
    if count < 1:
        raise InputError(f"captions: expected at least 1, got {count}")
    captions = read_captions(data)
    if captions.format == BROUGHT:
        raise InputError(
            f"{data}: brings features of another network and no photos; choose other data"
        )
    photos = captions.split(SPLIT)
    if store is not None:
        photos, _ = with_features(photos, open_store(store, POOLED), SPLIT)
    told = [(photo, text) for photo in photos for text in photo.captions[:1] if tokenize(text)]
    if not told:
        raise InputError(f"{data}: there is no caption in its {SPLIT} split")
    places = np.linspace(0, len(told) - 1, min(count, len(told))).round().astype(int)
    return [told[place] for place in places.tolist()]


def scenes_of(
    told: Sequence[tuple[Path, str]] | Sequence[tuple[Photo, str]],
    named: Sequence[tuple[str, Captioner]],
    *,
    store: str | Path | None = None,
    encoder: str | None = None,
    progress: Progress | None = None,
) -> Iterator[Scene]:
    """Let several captioners read the same captions of the same photos.

    Parameters
    ----------
    told : sequence of (path or Photo, str)
    named : sequence of (str, Captioner)
    store : path, optional
        Features of the photos, instead of encoding them.
    encoder : str, optional
    progress : callable, optional
        Is told of photos that are encoded, and of each captioner whose turn it is.

    Yields
    ------
    Scene

    Raises
    ------
    FeatureStoreError
        If the store was made by another encoder than a captioner's.
    InputError
        If a photo is not there.
    """
    features: dict[object, Array] = {}
    for number, (name, captioner) in enumerate(named):
        kind = GRID if captioner.sees_grid else POOLED
        key = kind, tuple(sorted(captioner.encoder.items()))
        if key not in features:
            if store is not None:
                opened = open_store(store, kind)
                opened.check_encoder(captioner.encoder)
                rows = opened.rows(photo.name for photo, _ in told)
                features[key] = take_rows(opened.array(kind), rows)
            else:
                paths = [_path(photo) for photo, _ in told]
                features[key] = encode_photos(captioner, paths, encoder, progress)
        if progress is not None:
            progress(number, len(named), f"Measuring {name}")
        yield Scene(name, captioner, features[key], to_ids(captioner, [text for _, text in told]))


def untrained(captioner: Captioner, cell_type: str, *, seed: int = 0) -> Captioner:
    """Make a captioner of another cell and the same sizes and words, that has learnt nothing.

    Parameters
    ----------
    captioner : Captioner
    cell_type : str
    seed : int

    Returns
    -------
    Captioner

    Raises
    ------
    InputError
        If there is no such cell.
    """
    config = captioner.model.config
    sizes = {name: config[name] for name in ("input_dim", "wordvec_dim", "hidden_dim")}
    words = captioner.model.word_to_idx
    model = CaptioningRNN(words, **sizes, cell_type=cell_type, seed=seed)
    model.scaling = captioner.model.scaling
    return dataclasses.replace(captioner, model=model)


def _path(photo: Path | Photo) -> Path:
    if isinstance(photo, Path):
        return photo
    if photo.path is None:
        raise InputError(f"{photo.name}: the photo is not there; give a feature store")
    return photo.path
