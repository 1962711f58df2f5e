"""``unrolled lab gradients``: of a batch of captions, on its way back through the steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from unrolled import plots
from unrolled.cli.console import Bar, print_table
from unrolled.cli.lab.output import OUT_HELP, check_out, write
from unrolled.cli.options import OwnEncoder
from unrolled.errors import InputError
from unrolled.jobs import lab
from unrolled.jobs.lab.through_time import CAPTIONS, CELLS
from unrolled.layers.arrays import Array

EXAMPLE = """Examples:

unrolled lab gradients --data flickr8k --model runs/rnn/best --model runs/lstm/best --cell none

unrolled lab gradients --radius 0.5 --radius 1 --radius 2 --out radius.svg
"""
SHOWN = (1, 2, 5, 10, 15)
"""Steps back, in the table."""


class Loss(str, Enum):
    """Whose gradient is followed."""

    last = "last"
    all = "all"


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command(epilog=EXAMPLE)(gradients)


def gradients(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(help="Photos whose captions are the batch; the example unless given."),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(help="A model folder, or several; the captioner that ships unless given."),
    ] = None,
    cell: Annotated[
        list[str] | None,
        typer.Option(
            help="Cells that are set beside it untrained, in the first model's sizes; rnn and lstm "
            "unless given or several models are; none for no such."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Captions of people instead, of this data set's dev split."),
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="A feature store of its photos, instead of encoding them.")
    ] = None,
    captions: Annotated[int, typer.Option(min=1, help="How many captions of it.")] = CAPTIONS,
    loss: Annotated[
        Loss, typer.Option(help="Whose gradient: the last word's alone, or that of all words.")
    ] = Loss.last,
    radius: Annotated[
        list[float] | None,
        typer.Option(help="Scale Wh to this spectral radius, and to others where given again."),
    ] = None,
    encoder: OwnEncoder = None,
    out: Annotated[Path, typer.Option(help=OUT_HELP)] = Path("lab-gradients.png"),
) -> None:
    """Draw the norm of the gradient that reaches each time step: whether it vanishes or explodes.

    By the state that a step hands to the next, h and for an LSTM also c, from the layers' own
    backward steps in float64.
    """
    check_out(out)
    if features is not None and data is None:
        raise InputError("gradients: --features are those of the photos of --data; give both")
    if radius and loss is Loss.all:
        raise InputError("gradients: --radius follows the last word's gradient; leave out --loss")
    with Bar("Reading captions") as bar:
        batch = {
            "models": model or (None,),
            "cells": _cells(cell, len(model or ())),
            "data": data,
            "store": features,
            "captions": captions,
            "encoder": encoder,
            "progress": lambda done, total, what: bar.update(done, total, what=what),
        }
        if radius:
            scaled = lab.radius(photos or (), radii=sorted(set(radius)), **batch)  # type: ignore[arg-type]
        else:
            norms = lab.gradients(photos or (), loss=loss.value, **batch)  # type: ignore[arg-type]
    if radius:
        rows = [
            (f"{each.name}, radius {radius:g}", values)
            for each in scaled
            for radius, values in zip(each.radii, each.relative, strict=True)
        ]
        _show_back(rows)
        write(out, scaled, lambda: plots.radius_figure(scaled))
        return
    if loss is Loss.last:
        _show_back([(each.name, each.relative) for each in norms])
    else:
        _show_steps([(each.name, each.state) for each in norms])
    write(out, norms, lambda: plots.gradients_figure(norms))


def _cells(asked: list[str] | None, models: int) -> Sequence[str]:
    if asked is None:
        return () if models > 1 else CELLS
    return [cell for cell in asked if cell != "none"]


def _show_back(rows: Sequence[tuple[str, Array]]) -> None:
    """Print what share of the last word's gradient comes through."""
    longest = max(values.shape[1] for _, values in rows)
    shown = [back for back in SHOWN if back < longest]
    headings = ("Of the last word's gradient comes", *(f"{back} back" for back in shown))
    print_table(headings, ((name, *_medians(values, shown)) for name, values in rows))


def _show_steps(rows: Sequence[tuple[str, Array]]) -> None:
    longest = max(values.shape[1] for _, values in rows)
    shown = [step for step in (0, *SHOWN) if step < longest]
    headings = ("Norm of the gradient at step", *(str(step + 1) for step in shown))
    print_table(headings, ((name, *_medians(values, shown)) for name, values in rows))


def _medians(values: Array, columns: Sequence[int]) -> list[str]:
    """Write medians over the captions that are so long."""
    shown = []
    for column in columns:
        there = values[:, column][np.isfinite(values[:, column])]
        shown.append(f"{np.median(there) if len(there) else math.nan:.2g}")
    return shown
