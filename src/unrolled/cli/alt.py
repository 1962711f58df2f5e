"""``unrolled alt``: alt texts for the images of web pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from unrolled.captioner import Captioners, Wishes
from unrolled.cli.console import Bar, on_one_line, say
from unrolled.cli.options import Models, OwnEncoder
from unrolled.cli.searching import searching
from unrolled.jobs.alt.pages import AltProgress, ImageLeft, PageChange, fill_pages

EXAMPLE = """Examples:

unrolled alt index.html

unrolled alt --yes site/index.html site/blog/*.html --root site

unrolled alt --diff index.html > alt.patch
"""
COLOURS = {b"-": typer.colors.RED, b"+": typer.colors.GREEN, b"@": typer.colors.CYAN}


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command(epilog=EXAMPLE)(searching(alt))


def alt(
    pages: Annotated[list[str], typer.Argument(help="HTML files.")],
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Only show what would change; nothing is written.")
    ] = False,
    root: Annotated[
        Path | None,
        typer.Option(
            help="The folder that the site is in: images may lie anywhere in it, and addresses "
            "that begin with / begin there. Otherwise they lie in their page's folder."
        ),
    ] = None,
    model: Models = None,
    encoder: OwnEncoder = None,
    *,
    wishes: Wishes,
) -> None:
    """Fill the alt attributes that the images of web pages lack, once you have seen a diff.

    An empty alt="" says that an image is decoration, and stays. Without a terminal to ask on, and
    without --yes, only the diff is shown.
    """
    if yes and diff:
        raise typer.BadParameter("choose one of --yes and --diff")
    captioners = Captioners.load(model or [None])
    changes = []
    with Bar("Captioning") as bar:
        for event in fill_pages(
            pages,
            captioners,
            root=None if root is None else str(root),
            decoding=wishes.over(captioners.decoding),
            encoder=encoder,
        ):
            if isinstance(event, AltProgress):
                bar.update(event.done, event.total)
            elif isinstance(event, ImageLeft):
                say(f"skipped: {event.page}:{event.line}: {event.source[:200]}: {event.reason}")
            else:
                changes.append(event)
    for change in changes:
        _show(change)
    if not changes:
        say("no image lacks an alt that could be filled; nothing was written.")
    elif yes or (not diff and _agreed(changes)):
        for change in changes:
            change.write()
            say(f"wrote {change.path}: {_count(change.filled)}.")
    else:
        say("nothing was written.")


def _show(change: PageChange) -> None:
    """Print a diff: to a person what can be shown, to a program the bytes as they are."""
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.write(b"".join(change.diff()))
        return
    for line in change.diff():
        text = on_one_line(line.decode("utf-8", errors="backslashreplace").rstrip("\r\n"))
        typer.secho(text, fg=COLOURS.get(line[:1]))


def _agreed(changes: list[PageChange]) -> bool:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    total = sum(change.filled for change in changes)
    pages = f"{len(changes):,} pages" if len(changes) > 1 else changes[0].path
    return typer.confirm(f"Write {_count(total)} to {on_one_line(pages)}?", err=True)


def _count(filled: int) -> str:
    return f"{filled:,} alt text" + ("s" if filled != 1 else "")
