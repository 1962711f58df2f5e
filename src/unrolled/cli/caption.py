"""``unrolled caption``: the main job."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from unrolled.captioner import Caption, Captioners, Wishes
from unrolled.cli.console import Bar, print_json, print_table, say
from unrolled.cli.options import Models, OwnEncoder, Recursive, SkipBad
from unrolled.cli.searching import searching
from unrolled.errors import ImageError
from unrolled.jobs.photos import find_photos

EXAMPLE = """Examples:

unrolled caption holiday.jpg

unrolled caption -r albums --skip-bad --csv > captions.csv

unrolled caption holiday.jpg --beam 6 --groups 3 --n-best 6 --json

unrolled caption holiday.jpg --sample --top-p 0.9 --seed 7 --prefix "a photo of"

unrolled caption holiday.jpg --model one --model two
"""


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command(epilog=EXAMPLE)(searching(caption))


def caption(
    photos: Annotated[list[str], typer.Argument(help="Photos, or folders of photos.")],
    recursive: Recursive = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print an array of path, caption, log_prob; with --n-best also captions."
        ),
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print rows of path, caption, log_prob.")
    ] = False,
    model: Models = None,
    encoder: OwnEncoder = None,
    n_best: Annotated[
        int | None,
        typer.Option(min=1, help="Captions of each photo, best first, instead of the best alone."),
    ] = None,
    skip_bad: SkipBad = False,
    *,
    wishes: Wishes,
) -> None:
    """Caption photos, with the captioner that ships with Unrolled or one of your own."""
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    bad: list[ImageError] = []
    paths = find_photos(photos, recursive=recursive, on_error=bad.append if skip_bad else None)
    total = len(paths) + len(bad)
    captioners = Captioners.load(model or [None])
    done: list[tuple[str, list[Caption]]] = []
    captions = captioners.photo_candidates(
        paths,
        decoding=wishes.over(captioners.decoding, n_best),
        on_error=(lambda _, error: bad.append(error)) if skip_bad else None,
        encoder=encoder,
    )
    stopped = False
    with Bar("Captioning") as bar:
        try:
            for path, found in _as_given(captions, paths):
                done.append((path, found[: n_best or 1]))
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
    if as_json:
        print_json([_record(path, found, several=n_best is not None) for path, found in done])
    else:
        _print(done, as_csv=as_csv, several=n_best is not None)
    if stopped:
        say(f"stopped after {len(done):,} of {total:,} photos; their captions are above.")
        raise typer.Exit(130)


def _as_given(
    captions: Iterable[tuple[Path, list[Caption]]], paths: Sequence[str]
) -> Iterator[tuple[str, list[Caption]]]:
    """Put the paths as they were given for those captioned, some of them in the same order."""
    given = iter(paths)
    for path, captioned in captions:
        yield next(each for each in given if Path(each) == path), captioned


def _record(path: str, found: list[Caption], *, several: bool) -> dict[str, Any]:
    captions = [{"caption": each.text, "log_prob": each.log_prob} for each in found]
    return {"path": path, **captions[0]} | ({"captions": captions} if several else {})


def _print(done: list[tuple[str, list[Caption]]], *, as_csv: bool, several: bool) -> None:
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("path", "caption", "log_prob"))
        writer.writerows((path, c.text, repr(c.log_prob)) for path, found in done for c in found)
    elif several:
        rows = (
            ("" if rank else path, c.text, f"{c.log_prob:.2f}")
            for path, found in done
            for rank, c in enumerate(found)
        )
        print_table(("Photo", "Caption", "Log-probability"), rows)
    else:
        print_table(("Photo", "Caption"), ((path, found[0].text) for path, found in done))
