"""Choose the photos of a report, shrink them, and write the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from unrolled.errors import ImageError, UnrolledError
from unrolled.jobs.evaluate import Evaluation
from unrolled.jobs.report.page import Card, page
from unrolled.jobs.whole_files import replace_file

MOST_CARDS = 1000
"""Photos in a report; of more, those that score best and those that score worst."""

SIDE = 256
"""Of the square in pixels that a thumbnail fits into."""

MOST_BYTES = 9_000
"""Of a thumbnail: a thousand, written as text, are then under 12 MB."""

_QUALITIES = (60, 40, 20, 5)
_SMALLEST = 64


class ReportProgress(NamedTuple):
    """How many of the photos' thumbnails are made."""

    done: int
    total: int


def write_report(
    path: Path, result: Evaluation, title: str, facts: Mapping[str, Mapping[str, Any]]
) -> Iterator[ReportProgress]:
    """Write an evaluation as one HTML file.

    A photo that is not there, or cannot be read, is a card without a picture.

    Parameters
    ----------
    path : Path
        The file; what was there is replaced when all is ready.
    result : Evaluation
    title : str
        What was evaluated on what.
    facts : mapping of str to mapping
        What else to say on top, such as the decoding and the model card: sections of lines.

    Yields
    ------
    ReportProgress
        For each photo.

    Raises
    ------
    UnrolledError
        If the file cannot be written.
    """
    rows = _rows(result)
    cards = []
    for row in rows:
        name = result.scores.photos[row]
        caption = result.captions[name]
        own = {metric: float(values[row]) for metric, values in result.scores.captions.items()}
        picture = _picture(result.paths[name])
        cards.append(
            Card(name, caption.text, caption.log_prob, result.references[name], own, picture)
        )
        yield ReportProgress(len(cards), len(rows))
    text = page(result, title, facts, cards, sorted_by(result))
    _write(path, text)


def sorted_by(result: Evaluation) -> str:
    """Name the score that photos are sorted by at first.

    Parameters
    ----------
    result : Evaluation

    Returns
    -------
    str
        CIDEr, if it was asked for.
    """
    names = list(result.scores.captions)
    return "CIDEr" if "CIDEr" in names else names[0]


def _rows(result: Evaluation) -> Sequence[int]:
    """Choose photos: the worst first, and of too many the worst and the best."""
    order = [int(row) for row in result.scores.captions[sorted_by(result)].argsort(kind="stable")]
    if len(order) <= MOST_CARDS:
        return order
    half = MOST_CARDS // 2
    return order[:half] + order[-half:]


def _picture(path: Path | None) -> str | None:
    """Make a photo a data URI of bounded size, or None."""
    if path is None:
        return None
    from PIL import Image

    from unrolled.vision.photos import load_thumbnail

    try:
        image = Image.fromarray(load_thumbnail(path, SIDE))
    except ImageError:
        return None
    data = _compressed(image)
    while len(data) > MOST_BYTES and max(image.size) > _SMALLEST:  # noise, which nothing shrinks
        image = image.reduce(2)
        data = _compressed(image)
    return "data:image/webp;base64," + base64.b64encode(data).decode("ascii")


def _compressed(image: Any) -> bytes:
    data = b""
    for quality in _QUALITIES:
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality, method=4)
        data = file.getvalue()
        if len(data) <= MOST_BYTES:
            break
    return data


def _write(path: Path, text: str) -> None:
    try:
        # A file's name may hold bytes that are no text.
        replace_file(path, text.encode("utf-8", errors="replace"))
    except OSError as error:
        raise UnrolledError(f"{path}: cannot be written ({error.strerror})") from error
