"""``unrolled features``: photos to a feature store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unrolled.cli.console import say, show_features
from unrolled.cli.options import Encoder as EncoderName
from unrolled.cli.options import SkipBad
from unrolled.errors import ImageError
from unrolled.jobs.features import photos_by_name, write_features
from unrolled.vision import AUGMENTATIONS, Encoder

EXAMPLE = "Example: unrolled features Flicker8k_Dataset --out lite2.safetensors --encoder lite2"


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command(epilog=EXAMPLE)(features)


def features(
    photos: Annotated[Path, typer.Argument(help="A folder of photos, with the folders in it.")],
    out: Annotated[Path, typer.Option(help="The feature store to write.")],
    encoder: EncoderName = None,
    grid: Annotated[
        bool,
        typer.Option("--grid", help="Also keep the features at each place of a photo, as float16."),
    ] = False,
    flip: Annotated[
        bool, typer.Option("--flip", help="Also of each photo mirrored, to train with.")
    ] = False,
    crops: Annotated[
        bool, typer.Option("--crops", help="Also mirrored and cropped to its four corners.")
    ] = False,
    skip_bad: SkipBad = False,
) -> None:
    """Encode photos once, for many trainings. One that was stopped goes on where it stopped."""
    named = photos_by_name(photos)
    views = AUGMENTATIONS["crops" if crops else "flip" if flip else "none"]
    try:
        loaded = Encoder.load(encoder or "lite0")
        bad = show_features(
            write_features(named, out, loaded, grid=grid, views=views, skip_bad=skip_bad)
        )
    except ImageError as error:
        raise ImageError(
            f"{error}\n       What was encoded is kept. Pass --skip-bad to go on with the others."
        ) from error
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here.")
        raise typer.Exit(130) from None
    say(f"wrote {out}: {len(named) - bad:,} photos.")
