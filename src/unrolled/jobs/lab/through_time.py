"""The gradient of a batch of captions, model by model: one call a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from unrolled import laboratory
from unrolled.captioner import Captioner
from unrolled.jobs.lab.batches import look_at_several, people_say, scenes_of, untrained
from unrolled.jobs.lab.scenes import Progress, Scene, Source, example_photo, load
from unrolled.laboratory import GradientNorms, RadiusNorms

CELLS = ("rnn", "lstm")
"""Untrained cells that a model is set beside unless others are asked for."""

RADII = (0.25, 0.5, 1.0, 2.0, 4.0)
CAPTIONS = 32


def gradients(
    photos: Sequence[str | Path] = (),
    *,
    models: Sequence[Source] = (None,),
    cells: Sequence[str] = CELLS,
    data: str | Path | None = None,
    store: str | Path | None = None,
    captions: int = CAPTIONS,
    loss: str = "last",
    encoder: str | None = None,
    progress: Progress | None = None,
) -> list[GradientNorms]:
    """Measure the gradient at each step, model by model; see `unrolled.laboratory.gradient_norms`.

    Parameters
    ----------
    photos : sequence of path
        The first captioner's captions of them are the batch, unless there is data.
    models : sequence of Captioner or path
    cells : sequence of str
        Untrained models of these cells, and of the first captioner's sizes, are measured too.
    data : path, optional
        Captions that people wrote, of its dev split, are the batch.
    store : path, optional
        Its features.
    captions : int
        How many of them.
    loss : "last" or "all"
    encoder : str, optional
    progress : callable, optional

    Returns
    -------
    list of GradientNorms
    """
    batches = _batches(photos, models, cells, data, store, captions, encoder, progress)
    return [laboratory.gradient_norms(*each.batch, loss=loss, name=each.name) for each in batches]


def radius(
    photos: Sequence[str | Path] = (),
    *,
    models: Sequence[Source] = (None,),
    cells: Sequence[str] = CELLS,
    data: str | Path | None = None,
    store: str | Path | None = None,
    captions: int = CAPTIONS,
    radii: Sequence[float] = RADII,
    encoder: str | None = None,
    progress: Progress | None = None,
) -> list[RadiusNorms]:
    """Measure the gradient as Wh is scaled; see `unrolled.laboratory.gradient_by_radius`.

    Parameters
    ----------
    photos, models, cells, data, store, captions, encoder, progress
        As in `gradients`.
    radii : sequence of float

    Returns
    -------
    list of RadiusNorms
    """
    batches = _batches(photos, models, cells, data, store, captions, encoder, progress)
    return [laboratory.gradient_by_radius(*each.batch, radii, name=each.name) for each in batches]


def _batches(
    photos: Sequence[str | Path],
    models: Sequence[Source],
    cells: Sequence[str],
    data: str | Path | None,
    store: str | Path | None,
    captions: int,
    encoder: str | None,
    progress: Progress | None,
) -> Iterator[Scene]:
    """Let all models read the same captions: people's of a data set, or the first model's own."""
    named = [(_name(model), load(model)) for model in models]
    first = named[0][1]
    named += [(f"{cell}, untrained", untrained(first, cell)) for cell in cells]
    told = (
        look_at_several(photos or [example_photo()], model=first, encoder=encoder)
        if data is None
        else people_say(data, captions, store=store)
    )
    return scenes_of(told, named, store=store, encoder=encoder, progress=progress)


def _name(model: Source) -> str:
    if isinstance(model, Captioner):
        return model.model.cell_type
    return f"{load(None).model.cell_type}, shipped" if model is None else str(model)
