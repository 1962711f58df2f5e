"""``unrolled caption``: the main job."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from unrolled.captioner import Caption, Captioners, Wishes
from unrolled.cli.console import Bar, print_json_array, print_table, say
from unrolled.cli.options import Models, OwnEncoder, Recursive, SkipBad
from unrolled.cli.searching import searching
from unrolled.errors import ImageError, MetadataError
from unrolled.jobs.album import AlbumProgress, Writing, caption_album, settings_of
from unrolled.jobs.journal import Journal
from unrolled.jobs.photos import find_photos

EXAMPLE = """Examples:

unrolled caption holiday.jpg

unrolled caption -r albums --skip-bad --csv > captions.csv

unrolled caption "albums/**/*.jpg" --journal captions.jsonl --sidecar

unrolled caption holiday.jpg --beam 6 --groups 3 --n-best 6 --json

unrolled caption holiday.jpg --sample --top-p 0.9 --seed 7 --prefix "a photo of"

unrolled caption holiday.jpg --model one --model two
"""
ALBUMS = "For albums"
ROWS_OF_A_TABLE = 1000
"""Of which the widths of its columns are found; a longer one is several."""

Found: TypeAlias = "tuple[str, list[Caption]]"


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command(epilog=EXAMPLE)(searching(caption))


def caption(
    photos: Annotated[
        list[str],
        typer.Argument(help="Photos, folders of photos, or patterns in quotes: 'album/**/*.jpg'."),
    ],
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
    journal: Annotated[
        Path | None,
        typer.Option(
            help="Keep what is done in this file, a line a photo: the same command, given again, "
            "goes on where it was stopped, and captions no photo twice.",
            rich_help_panel=ALBUMS,
        ),
    ] = None,
    sidecar: Annotated[
        bool,
        typer.Option(
            "--sidecar",
            help="Write the caption as alt text to photo.jpg.xmp, beside photo.jpg, which is not "
            "touched.",
            rich_help_panel=ALBUMS,
        ),
    ] = False,
    write_metadata: Annotated[
        bool,
        typer.Option(
            "--write-metadata",
            help="Write the caption as alt text into the photo's own metadata, without loss: JPEG, "
            "PNG and WebP.",
            rich_help_panel=ALBUMS,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="With these two: also where there is an alt text, which is left alone otherwise. "
            "With one of them, an alt text in the other place stays.",
            rich_help_panel=ALBUMS,
        ),
    ] = False,
    *,
    wishes: Wishes,
) -> None:
    """Caption photos, with the captioner that ships with Unrolled or one of your own."""
    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    if overwrite and not (sidecar or write_metadata):
        raise typer.BadParameter("--overwrite goes with --sidecar or --write-metadata")
    unfindable: list[ImageError] = []
    paths = find_photos(
        photos, recursive=recursive, on_error=unfindable.append if skip_bad else None
    )
    for error in unfindable:
        say(f"skipped: {error}")
    captioners = Captioners.load(model or [None])
    decoding = wishes.over(captioners.decoding, n_best)
    settings = settings_of(captioners, decoding, n_best or 1) if journal else {}
    chosen = {"sidecar": sidecar, "photo": write_metadata}
    with Journal(journal, settings) as done:
        events = caption_album(
            paths,
            captioners,
            done,
            decoding=decoding,
            count=n_best or 1,
            encoder=encoder,
            writing=Writing(tuple(place for place in chosen if chosen[place]), overwrite),
            skip_bad=skip_bad,
        )
        last, stopped = _show(events, len(unfindable), journal)
        far = f"stopped after {last.done:,} of {last.total:,} photos"
        if stopped and journal:
            say(f"{far}; the same command goes on.")
            raise typer.Exit(130)
        found = ((path, best) for path in paths if (best := done.captions(path)))
        _say(found, as_json, as_csv, several=n_best is not None, none_is_fine=stopped)
    if stopped:
        say(f"{far}; their captions are above.")
        raise typer.Exit(130)


def _show(
    events: Iterator[AlbumProgress], unfindable: int, journal: Path | None
) -> tuple[AlbumProgress, bool]:
    """Show photos being captioned; gives back how far it came, and whether Ctrl-C ended it."""
    last, left, two, stopped = AlbumProgress(0, 0), 0, 0, False
    with Bar("Captioning") as bar:
        try:
            for event in events:
                if last.total == 0 and event.done:
                    say(f"{event.done:,} of {event.total:,} photos were done before.")
                last = event
                left += event.left
                two += event.two
                if event.problem:
                    say(f"skipped: {event.problem}")
                bar.update(event.done + unfindable, event.total + unfindable)
        except KeyboardInterrupt:
            stopped = True
        except (ImageError, MetadataError) as error:
            kept = "Nothing was written" if journal is None else f"What was done is in {journal}"
            raise type(error)(
                f"{error}\n       {kept}. Pass --skip-bad to go on with the others."
            ) from error
    if two:
        say(
            f"photos with one alt text inside and another beside them: {two:,}; --overwrite with "
            "both --sidecar and --write-metadata replaces both."
        )
    if left:
        say(f"photos left alone, as they have an alt text: {left:,}; --overwrite replaces it.")
    return last._replace(total=last.total + unfindable), stopped


def _say(
    found: Iterator[Found], as_json: bool, as_csv: bool, *, several: bool, none_is_fine: bool
) -> None:
    """Print captions as they are read from the journal: they need not be there all at once."""
    first = next(found, None)
    if first is None and not none_is_fine:
        raise ImageError("no photo can be read; nothing was written")
    found = itertools.chain([first] if first else [], found)
    if as_json:
        print_json_array(_record(*each, several=several) for each in found)
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("path", "caption", "log_prob"))
        writer.writerows((path, c.text, repr(c.log_prob)) for path, best in found for c in best)
    else:
        _print_tables(found, several)


def _record(path: str, found: Sequence[Caption], *, several: bool) -> dict[str, Any]:
    captions = [{"caption": each.text, "log_prob": each.log_prob} for each in found]
    return {"path": path, **captions[0]} | ({"captions": captions} if several else {})


def _print_tables(found: Iterable[Found], several: bool) -> None:
    headings = ("Photo", "Caption", "Log-probability")[: 3 if several else 2]
    rows = (
        ("" if rank else path, c.text, f"{c.log_prob:.2f}")[: len(headings)]
        for path, best in found
        for rank, c in enumerate(best)
    )
    while block := list(itertools.islice(rows, ROWS_OF_A_TABLE)):
        print_table(headings, block)
