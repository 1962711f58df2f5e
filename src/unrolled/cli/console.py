"""What commands share in speaking to a person: progress on stderr, results on stdout."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from unrolled.jobs.features import FeatureProgress

if TYPE_CHECKING:
    from rich.progress import Progress


def say(text: str) -> None:
    """Tell the person something that is no result."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress_bar(*columns: str) -> Iterator[Progress]:
    """Show bars on stderr where a person can see them, and nothing elsewhere.

    Parameters
    ----------
    *columns : str
        What to write behind the bar, in terms of a task's fields.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeLeft(elapsed_when_finished=True),
        *(TextColumn(column) for column in columns),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        yield progress


def show_features(events: Iterable[FeatureProgress], what: str = "Encoding photos") -> None:
    """Show photos being encoded, and which could not be read.

    Parameters
    ----------
    events : iterable of FeatureProgress
    what : str
        The bar's name.
    """
    with progress_bar() as progress:
        task = progress.add_task(what, total=None)
        for event in events:
            progress.update(task, completed=event.done, total=event.total)
            if event.bad:
                say(f"skipped: {event.bad}")


def print_table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Print a table for people; it wraps on a terminal and stays on one line elsewhere.

    Parameters
    ----------
    headings : tuple of str
    rows : iterable of tuple of str
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
    Console(width=width, highlight=False).print(table)
