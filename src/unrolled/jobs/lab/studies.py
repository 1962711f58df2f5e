"""The laboratory's studies of a photo, a model or some runs: one call each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from unrolled import laboratory
from unrolled.jobs.lab.scenes import Source, encode_photos, example_photo, load, look_at
from unrolled.laboratory import (
    AttentionMaps,
    BeamTree,
    Gates,
    LossCurve,
    Neighbours,
    WordChoices,
    WordMap,
)
from unrolled.layers.arrays import Array
from unrolled.training import read_log
from unrolled.vision.photos import load_thumbnail

WORDS = ("man", "woman", "dog", "red", "water", "running", "two")
_PHOTO_SIDE = 480


class WordVectors(NamedTuple):
    """The nearest words of some words, and all of them on a plane."""

    neighbours: Neighbours
    plane: WordMap


class Attention(NamedTuple):
    """What was looked at before each word, and the photo, (height, width, 3) uint8."""

    maps: AttentionMaps
    photo: Array


def gates(
    photo: str | Path | None = None,
    *,
    model: Source = None,
    caption: str | None = None,
    layer: int | None = None,
    encoder: str | None = None,
) -> Gates:
    """Look at the gates over the words of a caption; see `unrolled.laboratory.gate_activations`.

    Parameters
    ----------
    photo : path, optional
        That which ships unless given.
    model : Captioner or path, optional
        The captioner that ships unless given.
    caption : str, optional
        What the captioner itself says unless given.
    layer : int, optional
        1 for the lowest; the highest unless given.
    encoder : str, optional
        The model's, where an ONNX file of one's own is part of it.

    Returns
    -------
    Gates
    """
    scene = look_at(photo, model=model, caption=caption, encoder=encoder)
    return laboratory.gate_activations(*scene.batch, layer=layer)


def words(
    photo: str | Path | None = None,
    *,
    model: Source = None,
    caption: str | None = None,
    count: int = 5,
    encoder: str | None = None,
) -> WordChoices:
    """Look at the softmax at each word of a caption; see `unrolled.laboratory.word_choices`.

    Parameters
    ----------
    photo : path, optional
    model : Captioner or path, optional
    caption : str, optional
    count : int
        Words of each step.
    encoder : str, optional

    Returns
    -------
    WordChoices
    """
    scene = look_at(photo, model=model, caption=caption, encoder=encoder)
    return laboratory.word_choices(*scene.batch, count=count)


def beam(
    photo: str | Path | None = None,
    *,
    model: Source = None,
    width: int | None = None,
    encoder: str | None = None,
) -> BeamTree:
    """Look at the beam as a tree; see `unrolled.laboratory.beam_tree`.

    Parameters
    ----------
    photo : path, optional
    model : Captioner or path, optional
    width : int, optional
        The captioner's own unless given.
    encoder : str, optional

    Returns
    -------
    BeamTree
    """
    captioner = load(model)
    path = example_photo() if photo is None else Path(photo)
    decoding = captioner.decoding
    if width is not None:
        decoding = dataclasses.replace(decoding, width=width, groups=1, diversity=0.0)
    return laboratory.beam_tree(
        captioner.model,
        encode_photos(captioner, [path], encoder),
        width=decoding.width,
        length_norm=decoding.length_norm,
        groups=decoding.groups,
        diversity=decoding.diversity,
        **decoding.rules,
    )


def attention(
    photo: str | Path | None = None,
    *,
    model: Source = None,
    caption: str | None = None,
    encoder: str | None = None,
) -> Attention:
    """Look at what a model that attends looks at; see `unrolled.laboratory.attention_maps`.

    Parameters
    ----------
    photo : path, optional
    model : Captioner or path, optional
    caption : str, optional
    encoder : str, optional

    Returns
    -------
    Attention
    """
    scene = look_at(photo, model=model, caption=caption, encoder=encoder)
    path = example_photo() if photo is None else Path(photo)
    return Attention(laboratory.attention_maps(*scene.batch), load_thumbnail(path, _PHOTO_SIDE))


def vectors(words: Sequence[str] = (), *, model: Source = None, count: int = 6) -> WordVectors:
    """Look at word vectors; see `unrolled.laboratory.neighbours` and `word_map`.

    Parameters
    ----------
    words : sequence of str
        Those of `WORDS` that the model knows unless given.
    model : Captioner or path, optional
    count : int
        Neighbours of each word.

    Returns
    -------
    WordVectors
    """
    captioner = load(model)
    known = captioner.vocabulary
    if not words:
        plain = [word for word in known.words if word.isalpha()]
        words = [word for word in WORDS if word in known] or plain[:6]
    found = laboratory.neighbours(captioner.model, words, count)
    return WordVectors(found, laboratory.word_map(captioner.model, found))


def curves(runs: Sequence[str | Path], *, smoothing: float = 0.95) -> list[LossCurve]:
    """Read the losses of several runs; see `unrolled.laboratory.loss_curve`.

    Parameters
    ----------
    runs : sequence of path
        Folders that ``unrolled train`` wrote, or their logs.
    smoothing : float in [0, 1)

    Returns
    -------
    list of LossCurve
    """
    found = []
    for run in map(Path, runs):
        log = run / "log.jsonl" if run.is_dir() else run
        found.append(laboratory.loss_curve(read_log(log), str(run), smoothing=smoothing))
    return found
