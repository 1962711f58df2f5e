"""A run's log: one JSON object per line, that a kill can tear and resuming mends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TextIO

from unrolled.errors import DataError


def open_log(path: str | os.PathLike[str]) -> TextIO:
    r"""Open a log to append to, line by line; a line torn by a kill is cut off first.

    Parameters
    ----------
    path : path of a file
        Made if missing.

    Returns
    -------
    text file
        Write ``json.dumps(event_record(event)) + "\n"`` to it; each line is written at once.

    Raises
    ------
    DataError
        If it cannot be opened.
    """
    path = Path(path)
    try:
        if path.exists():
            whole = path.read_bytes().rfind(b"\n") + 1
            if whole != path.stat().st_size:
                os.truncate(path, whole)
        return path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise DataError(f"{path}: the log cannot be opened ({error.strerror or error})") from None


def read_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read a log as if the run had never been stopped.

    A run that was killed repeats, when it goes on, the steps since its last checkpoint; of those
    the later records are kept. A torn last line is left out.

    Parameters
    ----------
    path : path of a file

    Returns
    -------
    list of dict
        Records as `event_record` makes them, steps in order.

    Raises
    ------
    DataError
        If it cannot be read, or a line other than the last is no record; the message says which.
    """
    path = Path(path)
    try:
        *lines, _torn = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise DataError(f"{path}: the log cannot be read ({error.strerror or error})") from None
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        record = _parse_record(path, number, line)
        _cut_repeated(records, record)
        records.append(record)
    return records


def _parse_record(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
        if isinstance(record["event"], str) and type(record["step"]) is int:
            return dict(record)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise DataError(
        f"{path}: line {number}: expected a JSON object with an event and a step, "
        f"got {line[:60]!r}. Remove the line, or the log"
    )


def _cut_repeated(records: list[dict[str, Any]], record: dict[str, Any]) -> None:
    """Drop the earlier telling of what is told again, and all that followed it."""
    while records and records[-1]["step"] > record["step"]:  # the run went back to this step
        records.pop()
    if record["event"] not in ("step", "epoch"):
        return
    at = len(records)
    while at and records[at - 1]["step"] == record["step"]:
        at -= 1
        if records[at]["event"] == record["event"]:
            del records[at:]
