"""``unrolled lab curves`` and ``vectors``: of runs, and of what a model knows of words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from unrolled import plots
from unrolled.cli.console import print_table
from unrolled.cli.lab.output import OUT_HELP, Model, check_out, write
from unrolled.errors import InputError
from unrolled.jobs import lab
from unrolled.layers.arrays import Array


def add_to(app: typer.Typer) -> None:
    """Give the app these commands."""
    for command, example in (
        (curves, "unrolled lab curves runs/rnn runs/lstm --smoothing 0.98"),
        (vectors, "unrolled lab vectors dog red running --neighbours 8"),
    ):
        app.command(epilog=f"Example: {example}")(command)


def curves(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs, or their log.jsonl.")],
    smoothing: Annotated[
        float, typer.Option(help="Share of the moving average that is kept at each step.")
    ] = 0.95,
    out: Annotated[Path, typer.Option(help=OUT_HELP)] = Path("lab-curves.png"),
) -> None:
    """Draw the losses of several runs on shared axes, smoothed."""
    check_out(out)
    if not 0 <= smoothing < 1:
        raise InputError(f"curves: --smoothing must be from 0 to below 1, got {smoothing:g}")
    found = lab.curves(runs, smoothing=smoothing)
    print_table(
        ("Run", "Steps", "Training loss, smoothed", "Lowest dev loss"),
        (
            (each.name, f"{_most(each.steps):,}", _last(each.smoothed), _lowest(each.val_loss))
            for each in found
        ),
    )
    write(out, found, lambda: plots.curves_figure(found))


def vectors(
    words: Annotated[
        list[str] | None,
        typer.Argument(help="Words that it knows; some plain ones unless given."),
    ] = None,
    model: Model = None,
    neighbours: Annotated[int, typer.Option(min=1, max=20, help="Of each word.")] = 6,
    out: Annotated[Path, typer.Option(help=OUT_HELP)] = Path("lab-vectors.png"),
) -> None:
    """Draw words and their nearest neighbours by the angle of their vectors, and on a plane."""
    check_out(out)
    found = lab.vectors(words or (), model=model, count=neighbours)
    rows = []
    for word, near, cosine in zip(*found.neighbours, strict=True):
        others = (f"{w} {c:.2f}" for w, c in zip(near, cosine, strict=True))
        rows.append((word, "  ".join(others)))
    print_table(("Word", "Nearest words, and the cosine"), rows)
    write(out, found, lambda: plots.vectors_figure(*found))


def _most(steps: Array) -> int:
    return int(steps.max(initial=0))


def _last(values: Array) -> str:
    there = values[np.isfinite(values)]
    return f"{there[-1]:.3f}" if len(there) else ""


def _lowest(values: Array) -> str:
    there = values[np.isfinite(values)]
    return f"{there.min():.3f}" if len(there) else ""
