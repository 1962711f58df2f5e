"""``unrolled lab gates``, ``words``, ``beam`` and ``attention``: of one photo's caption."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from unrolled import plots
from unrolled.cli.console import print_table
from unrolled.cli.lab.output import OUT_HELP, CaptionText, Model, Photo, check_out, write
from unrolled.cli.options import OwnEncoder
from unrolled.jobs import lab
from unrolled.laboratory.gates import GATES, check_units


def add_to(app: typer.Typer) -> None:
    """Give the app these commands."""
    for command, example in (
        (gates, "unrolled lab gates holiday.jpg --units 24 --out gates.svg"),
        (words, 'unrolled lab words holiday.jpg --caption "a dog runs" --top 8'),
        (beam, "unrolled lab beam holiday.jpg --beam 5"),
        (attention, "unrolled lab attention holiday.jpg"),
    ):
        app.command(epilog=f"Example: {example}")(command)


def gates(
    photo: Photo = None,
    caption: CaptionText = None,
    model: Model = None,
    layer: Annotated[
        int | None, typer.Option(help="1 for the lowest; the highest unless given.")
    ] = None,
    units: Annotated[int, typer.Option(min=1, help="How many: those that vary most.")] = 24,
    unit: Annotated[
        list[int] | None, typer.Option(help="This unit instead, and others where given again.")
    ] = None,
    encoder: OwnEncoder = None,
    out: Annotated[Path, typer.Option(help=OUT_HELP)] = Path("lab-gates.png"),
) -> None:
    """Draw gates and cell state over the words of a caption, and say how many are saturated."""
    check_out(out)
    found = lab.gates(photo, model=model, caption=caption, layer=layer, encoder=encoder)
    if unit:
        check_units(unit, found.h.shape[1])
    print_table(
        ("Gate", "In its lowest tenth", "In its highest tenth"),
        (
            (GATES[name], f"{shut:.1%}", f"{opened:.1%}")
            for name, shut, opened in zip(found.names, found.shut, found.open, strict=True)
        ),
    )
    write(out, found, lambda: plots.gates_figure(found, units=unit or None, count=units))


def words(
    photo: Photo = None,
    caption: CaptionText = None,
    model: Model = None,
    top: Annotated[int, typer.Option(min=1, max=20, help="Words of each step.")] = 5,
    encoder: OwnEncoder = None,
    out: Annotated[Path, typer.Option(help=OUT_HELP)] = Path("lab-words.png"),
) -> None:
    """Draw the softmax over words at each step of a caption: the word said, and the runners-up."""
    check_out(out)
    found = lab.words(photo, model=model, caption=caption, count=top, encoder=encoder)
    rows = []
    for said, p, likeliest, shares in zip(
        found.said, found.p_said, found.words, found.p, strict=True
    ):
        others = (f"{w} {q:.0%}" for w, q in zip(likeliest, shares, strict=True) if w != said)
        rows.append((said, f"{p:.1%}", "  ".join(others)))
    print_table(("Said", "Probability", "Runners-up"), rows)
    write(out, found, lambda: plots.words_figure(found))


def beam(
    photo: Photo = None,
    model: Model = None,
    width: Annotated[
        int | None,
        typer.Option("--beam", min=1, max=20, help="Width; the model's own unless given."),
    ] = None,
    encoder: OwnEncoder = None,
    out: Annotated[Path, typer.Option(help=OUT_HELP)] = Path("lab-beam.png"),
) -> None:
    """Draw the beam as a tree: every hypothesis that was kept, and what became of it.

    Captions are ranked by their probability; a captioner that chooses by consensus may say another.
    """
    check_out(out)
    found = lab.beam(photo, model=model, width=width, encoder=encoder)
    ends = np.flatnonzero(found.rank >= 0)
    print_table(
        ("Rank", "Caption", "Log-probability"),
        (
            (
                str(found.rank[end] + 1),
                " ".join(found.words[node] for node in found.path(end)),
                f"{found.total[end]:.2f}",
            )
            for end in ends[np.argsort(found.rank[ends])].tolist()
        ),
    )
    write(out, found, lambda: plots.beam_figure(found))


def attention(
    photo: Photo = None,
    caption: CaptionText = None,
    model: Model = None,
    encoder: OwnEncoder = None,
    out: Annotated[Path, typer.Option(help=OUT_HELP)] = Path("lab-attention.png"),
) -> None:
    """Draw where a model that attends looks in the photo before each word."""
    check_out(out)
    found = lab.attention(photo, model=model, caption=caption, encoder=encoder)
    rows = []
    for word, weights in zip(found.maps.words, found.maps.alphas, strict=True):
        y, x = np.unravel_index(weights.argmax(), weights.shape)
        rows.append((word, f"{weights.max():.0%}", f"row {y + 1}, column {x + 1}"))
    Y, X = found.maps.alphas.shape[1:]
    print_table(("Word", "Largest weight", f"Where, of {Y} x {X} places"), rows)
    write(out, found, lambda: plots.attention_figure(*found))
