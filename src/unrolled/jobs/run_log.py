"""A training run's log and curves, written as its events pass."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unrolled import plots
from unrolled.jobs.events import Note, Started
from unrolled.training import EpochDone, Event, Saved, event_record, open_log, read_log


def check_log(out: Path) -> None:
    """Make sure, before any work, that a run's log can be read and written.

    Parameters
    ----------
    out : Path
        The run's folder.

    Raises
    ------
    DataError
        If it cannot be; the message names the file, and the line if one is at fault.
    """
    open_log(out / "log.jsonl").close()
    read_log(out / "log.jsonl")


def logged(
    events: Iterator[Started | Event], out: Path, *, step: int, best_by: str
) -> Iterator[Started | Event | Note]:
    """Write events to the log as they pass, and draw the curves once an epoch is saved.

    A log that no longer takes lines and curves that cannot be drawn are told as notes, once for
    each reason: they are worth less than the training.

    Parameters
    ----------
    events : iterator of Started and Event
    out : Path
        The run's folder.
    step : int
        Steps done before.
    best_by : str
        See `unrolled.plots.plot_run`.

    Yields
    ------
    Started, Event
        Those given.
    Note
    """
    path = out / "log.jsonl"
    # What comes is told again by a run that goes on after a kill; the later telling counts.
    records = {_key(each): each for each in read_log(path) if each["step"] <= step}
    told: set[str] = set()
    to_draw = False
    log = open_log(path)
    try:
        for event in events:
            record = _record(event)
            records.pop(_key(record), None)
            records[_key(record)] = record
            problem = _write(json.dumps(record, allow_nan=False), log, path)
            yield event
            to_draw |= isinstance(event, EpochDone)
            if to_draw and isinstance(event, Saved) and event.kind == "last":
                to_draw = False
                problem = problem or _draw(list(records.values()), out / "curves.png", best_by)
            if problem and problem not in told:
                told.add(problem)
                yield Note(problem)
    finally:
        with contextlib.suppress(OSError):  # what was not written has been told
            log.close()


def _record(event: Started | Event) -> dict[str, Any]:
    if isinstance(event, Started):
        return {"event": "started", **event._asdict()}
    return event_record(event)


def _key(record: dict[str, Any]) -> tuple[str, int]:
    return record["event"], record["step"]


def _write(line: str, log: Any, path: Path) -> str | None:
    """Write a line; if that fails, say why."""
    try:
        log.write(f"{line}\n")
    except OSError as error:
        return f"{path}: cannot be written ({error.strerror}); training goes on without the log"
    return None


def _draw(records: list[dict[str, Any]], path: Path, best_by: str) -> str | None:
    """Draw the curves; if that fails, say why."""
    try:
        plots.plot_run(records, path, best_by=best_by)
    except Exception as error:
        return f"the curves were not drawn ({error}); training goes on without them"
    return None
