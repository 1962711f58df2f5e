"""``unrolled caption``: the main job."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from unrolled.captioner import Caption, Captioner
from unrolled.cli.console import Bar, print_json, print_table, say
from unrolled.cli.options import Beam, Model, OwnEncoder, Recursive, SkipBad, decoding
from unrolled.errors import ImageError
from unrolled.jobs.photos import find_photos

EXAMPLE = """Examples:

unrolled caption holiday.jpg

unrolled caption -r albums --skip-bad --csv > captions.csv
"""


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command(epilog=EXAMPLE)(caption)


def caption(
    photos: Annotated[list[str], typer.Argument(help="Photos, or folders of photos.")],
    recursive: Recursive = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print an array of path, caption, log_prob.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print rows of path, caption, log_prob.")
    ] = False,
    model: Model = None,
    encoder: OwnEncoder = None,
    beam: Beam = None,
    skip_bad: SkipBad = False,
) -> None:
    """Caption photos, with the captioner that ships with Unrolled or one of your own."""
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    bad: list[ImageError] = []
    paths = find_photos(photos, recursive=recursive, on_error=bad.append if skip_bad else None)
    total = len(paths) + len(bad)
    captioner = Captioner.load(model)
    done: list[tuple[str, Caption]] = []
    captions = captioner.caption_photos(
        paths,
        decoding=decoding(captioner, beam),
        on_error=(lambda _, error: bad.append(error)) if skip_bad else None,
        encoder=encoder,
    )
    stopped = False
    with Bar("Captioning") as bar:
        try:
            for captioned in _as_given(captions, paths):
                done.append(captioned)
                bar.update(len(done) + len(bad), total)
        except KeyboardInterrupt:
            stopped = True
        except ImageError as error:
            raise ImageError(
                f"{error}\n       Nothing was written. Pass --skip-bad to go on with the others."
            ) from error
    for reason in bad:
        say(f"skipped: {reason}")
    if len(bad) == total:
        raise ImageError("no photo can be read; nothing was written")
    _print(done, as_json=as_json, as_csv=as_csv)
    if stopped:
        say(f"stopped after {len(done):,} of {total:,} photos; their captions are above.")
        raise typer.Exit(130)


def _as_given(
    captions: Iterable[tuple[Path, Caption]], paths: Sequence[str]
) -> Iterator[tuple[str, Caption]]:
    """Put the paths as they were given for those captioned, some of them in the same order."""
    given = iter(paths)
    for path, captioned in captions:
        yield next(each for each in given if Path(each) == path), captioned


def _print(captions: list[tuple[str, Caption]], *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        records = [
            {"path": path, "caption": c.text, "log_prob": c.log_prob} for path, c in captions
        ]
        print_json(records)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("path", "caption", "log_prob"))
        writer.writerows((path, c.text, repr(c.log_prob)) for path, c in captions)
    else:
        print_table(("Photo", "Caption"), ((path, c.text) for path, c in captions))
