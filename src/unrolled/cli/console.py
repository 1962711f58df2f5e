"""What commands share in speaking to a person: progress on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrolled.jobs.features import FeatureProgress

SECONDS_BETWEEN_LINES = 10.0
"""Where there is no terminal to draw a bar on."""


def say(text: str) -> None:
    """Tell the person something that is no result, a line or some.

    Parameters
    ----------
    text : str
        May quote a file's name, or what is in a file.
    """
    print("\n".join(map(on_one_line, text.split("\n"))), file=sys.stderr, flush=True)


def say_at_signal(text: str) -> None:
    """Tell the person something from a signal's handler, a line or some.

    A signal may come while `say` writes, and a stream takes no second writer then: this goes past
    it.

    Parameters
    ----------
    text : str
        Nothing that a terminal would act on.
    """
    if sys.__stderr__ is not None:
        with contextlib.suppress(OSError):  # nobody may be reading any more
            os.write(sys.__stderr__.fileno(), f"{text}\n".encode())


def on_one_line(text: str) -> str:
    """Escape what a terminal would act on instead of showing it: a file name can hold anything.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Bar:
    """Progress on stderr: a bar on a terminal, elsewhere a line now and then.

    Parameters
    ----------
    what : str
        What is being done, for its name.
    """

    def __init__(self, what: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as TimeLeft

        console = Console(stderr=True)
        self._terminal = console.is_terminal
        self._said_at = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeLeft(),
            TextColumn("{task.fields[status]}"),
            console=console,
            transient=True,
            disable=not self._terminal,
        )
        self._task = self._progress.add_task(what, total=None, status="")

    def __enter__(self) -> Bar:
        """Begin to show it."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it off the screen."""
        self._progress.stop()

    def update(self, done: int, total: int, status: str = "", what: str | None = None) -> None:
        """Say how far it is.

        Parameters
        ----------
        done, total : int
        status : str
            What else there is to say.
        what : str, optional
            What is being done now.
        """
        self._progress.update(
            self._task, completed=done, total=total, status=status, description=what
        )
        if not self._terminal and time.monotonic() - self._said_at > SECONDS_BETWEEN_LINES:
            description = self._progress.tasks[self._task].description
            say(f"{description}: {done:,} of {total:,}  {status}".rstrip())
            self._said_at = time.monotonic()


def show_features(events: Iterable[FeatureProgress]) -> int:
    """Show photos being encoded, and which could not be read.

    Parameters
    ----------
    events : iterable of FeatureProgress

    Returns
    -------
    int
        How many could not be read.
    """
    bad = 0
    with Bar("Encoding photos") as bar:
        for event in events:
            bar.update(event.done, event.total)
            if event.bad:
                bad += 1
                say(f"skipped: {event.bad}")
    return bad


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
        table.add_row(*(Text(on_one_line(cell)) for cell in row))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000
    Console(width=width, highlight=False).print(table)


def print_json(value: object) -> None:
    """Print JSON that any reader takes, whatever file names are in it.

    Parameters
    ----------
    value : what JSON can hold
        A number that is not finite, which it cannot, becomes null.
    """
    print(_json(value))


def print_json_array(values: Iterable[object]) -> None:
    """Print a JSON array, one value after another: they need not be there all at once.

    Parameters
    ----------
    values : iterable of what JSON can hold
        As `print_json` has it.
    """
    before, end = "[", "[]"
    for value in values:
        print(before + "\n" + textwrap.indent(_json(value), "  "), end="")
        before, end = ",", "\n]"
    print(end)


def _json(value: object) -> str:
    value = _finite(value)
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding)
    except UnicodeEncodeError:  # a name that is no text, or an old terminal
        text = json.dumps(value, indent=2, allow_nan=False)
    return text


def _finite(value: Any) -> Any:
    """Put None where a number is none that JSON can hold."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
