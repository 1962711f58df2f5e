"""Where the laboratory's commands write: a picture, or the numbers that it draws."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unrolled import plots
from unrolled.cli.console import say
from unrolled.errors import InputError
from unrolled.jobs.lab import write_numbers
from unrolled.jobs.lab.writing import SUFFIXES as NUMBERS
from unrolled.plots.canvas import SUFFIXES as PICTURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUT_HELP = "A picture, .png or .svg, or the numbers, .json or .npz."
Model = Annotated[
    Path | None, typer.Option(help="A model folder; the captioner that ships unless given.")
]
Photo = Annotated[Path | None, typer.Argument(help="A photo; the example that ships unless given.")]
CaptionText = Annotated[
    str | None,
    typer.Option("--caption", help="What is read; what the model itself says unless given."),
]


def check_out(out: Path) -> None:
    """Say before the work that it cannot be written.

    Parameters
    ----------
    out : Path

    Raises
    ------
    InputError
        If the ending is unknown, or there is no such folder.
    MissingExtraError
        If it is a picture and matplotlib is not installed.
    """
    suffix = out.suffix.lower()
    if suffix not in (*PICTURES, *NUMBERS):
        raise InputError(
            f"{out}: expected a picture, {' or '.join(PICTURES)}, or numbers, "
            f"{' or '.join(NUMBERS)}; give --out one of these endings"
        )
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"{out}: cannot be written; name a file in a folder that is there")
    if suffix in PICTURES:
        plots.check_installed()


def write(out: Path, found: Any, draw: Callable[[], Figure]) -> None:
    """Write what was found as its file's name asks for.

    Parameters
    ----------
    out : Path
    found : NamedTuple, or a list of these
    draw : callable
        Makes the picture.
    """
    if out.suffix.lower() in NUMBERS:
        write_numbers(found, out)
    else:
        plots.save_figure(draw(), out)
    say(f"wrote {out}.")
