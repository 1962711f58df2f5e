"""What a captioner looks at in the laboratory: a photo's features, and a caption as it reads it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from unrolled.captioner import Captioner, Eyes
from unrolled.data import Photo, encode_captions, tokenize
from unrolled.errors import InputError
from unrolled.layers.arrays import Array
from unrolled.model import CaptioningRNN

Source: TypeAlias = "Captioner | str | Path | None"
"""A captioner, the folder of one, or None for the one that ships."""

Progress: TypeAlias = Callable[[int, int, str], object]
"""Is told how many of how many are done, and what is being done."""


class Scene(NamedTuple):
    """A captioner with a batch for it.

    Attributes
    ----------
    name : str
        Of the captioner, for pictures.
    captioner : Captioner
    features : (N, D) or (N, L, D) float
    captions : (N, T + 1) int
        START, words, END, then NULL.
    """

    name: str
    captioner: Captioner
    features: Array
    captions: Array

    @property
    def batch(self) -> tuple[CaptioningRNN, Array, Array]:
        """What the functions of `unrolled.laboratory` take."""
        return self.captioner.model, self.features, self.captions


def load(model: Source) -> Captioner:
    """Give a captioner, loaded if need be.

    Parameters
    ----------
    model : Source

    Returns
    -------
    Captioner

    Raises
    ------
    CheckpointError
        If the folder is missing, damaged, or not a captioner's.
    """
    return model if isinstance(model, Captioner) else Captioner.load(model)


def example_photo() -> Path:
    """Say where the photo is that is looked at unless another is given.

    Returns
    -------
    Path
        Eileen Collins, by NASA; in the public domain.
    """
    return Path(str(resources.files("unrolled") / "laboratory" / "example.jpg"))


def look_at(
    photo: str | Path | None = None,
    *,
    model: Source = None,
    caption: str | None = None,
    encoder: str | None = None,
) -> Scene:
    """Look at one photo.

    Parameters
    ----------
    photo : path, optional
        `example_photo` unless given.
    model : Source
    caption : str, optional
        What is read word by word; what the captioner itself says of the photo unless given.
    encoder : str, optional
        The model's, where an ONNX file of one's own is part of it.

    Returns
    -------
    Scene
        Of one caption, without padding.

    Raises
    ------
    ImageError
        If the photo cannot be read.
    InputError
        If the caption has no word.
    CheckpointError, EncoderError
        If the model or its encoder cannot be had.
    """
    captioner = load(model)
    path = Path(photo) if photo is not None else example_photo()
    features = encode_photos(captioner, [path], encoder)
    if caption is None:
        caption = captioner.caption_features(features)[0].text
        if not caption:
            raise InputError(f"{path}: the captioner says no word of it; give a caption to be read")
    return Scene(captioner.model.cell_type, captioner, features, to_ids(captioner, [caption]))


def encode_photos(
    captioner: Captioner,
    paths: Sequence[Path],
    encoder: str | None = None,
    progress: Progress | None = None,
) -> Array:
    """Encode photos, each of them once.

    Parameters
    ----------
    captioner : Captioner
    paths : sequence of N path
    encoder : str, optional
        The captioner's, where an ONNX file of one's own is part of it.
    progress : callable, optional

    Returns
    -------
    (N, D) or (N, L, D) float32
        As the captioner's model takes them.

    Raises
    ------
    ImageError
        If a photo cannot be read.
    EncoderError
        If the encoder here is not the one the model was trained with.
    """
    once = list(dict.fromkeys(paths))
    rows = {}
    for path, (features,) in Eyes([captioner], encoder).see_ahead(once, ahead=32):
        rows[path] = features
        if progress is not None:
            progress(len(rows), len(once), "Encoding photos")
    return np.stack([rows[path] for path in paths])


def to_ids(captioner: Captioner, texts: Sequence[str]) -> Array:
    """Turn captions into rows of ids.

    Parameters
    ----------
    captioner : Captioner
    texts : sequence of M str

    Returns
    -------
    (M, T + 1) int32
        START, words, END, then NULL.

    Raises
    ------
    InputError
        If a caption has no word.
    """
    for text in texts:
        if not tokenize(text):
            raise InputError(f"the caption {text!r} has no word")
    longest = max(len(tokenize(text)) for text in texts)
    photos = [Photo(str(row), None, (text,)) for row, text in enumerate(texts)]
    return encode_captions(photos, captioner.vocabulary, longest).captions
