"""Kaggle's copies of Flickr8k: ``captions.txt``, a CSV file, and ``Images/``."""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path

from unrolled.data.captions import CaptionSet
from unrolled.data.files import MAX_FILE_BYTES, TextFile
from unrolled.data.formats.flickr8k import PHOTO_FOLDERS
from unrolled.data.gather import Gatherer
from unrolled.data.photos import PhotoFinder
from unrolled.data.splits import find_split_lists, read_split_lists
from unrolled.errors import CaptionFileError

NAME = "kaggle"
LOOKS_LIKE = "captions.txt (or captions.csv), CSV with header image,caption, with Images/"

_FILES = ("captions.txt", "captions.csv")


def found(path: Path) -> bool:
    """Whether the path is a CSV file of captions or a folder with one."""
    if path.is_file():
        return path.name in _FILES or path.suffix.lower() == ".csv"
    return any((path / name).is_file() for name in _FILES)


def read(path: Path, photos: Path | None = None) -> CaptionSet:
    """Read the layout from its folder or its CSV file; see `unrolled.data.read_captions`."""
    source = path
    if path.is_dir():
        files = [path / name for name in _FILES if (path / name).is_file()]
        if not files:
            raise CaptionFileError(f"{path}: no {' or '.join(_FILES)} in it")
        source = files[0]
    file = TextFile.read(source)
    gatherer = Gatherer()
    _gather_rows(file, gatherer)
    folders = [source.parent / folder for folder in ("Images", "images", *PHOTO_FOLDERS[:3])]
    splits = read_split_lists(find_split_lists(source.parent))
    finder = PhotoFinder([photos] if photos else folders)
    return gatherer.finish(NAME, source, finder, splits)


def _gather_rows(file: TextFile, gatherer: Gatherer) -> None:
    csv.field_size_limit(MAX_FILE_BYTES)
    rows = csv.reader(io.StringIO(file.text, newline=""), strict=True)
    start, loose = 1, 0
    try:
        header = next(rows, [])
        if [name.strip().lower() for name in header] != ["image", "caption"]:
            got = ",".join(header)[:60]
            raise file.error(1, f"expected the header 'image,caption', got {got!r}")
        start = rows.line_num + 1
        for row in rows:
            fail = partial(file.error, start)
            start = rows.line_num + 1
            if not any(row):
                continue
            if len(row) < 2:
                raise fail(f"expected 'image,caption', got no comma: {row[0][:60]!r}")
            # A comma that should have been quoted can only be the caption's, which is last.
            loose += len(row) > 2
            gatherer.caption(gatherer.photo(row[0], fail), ",".join(row[1:]), fail)
    except csv.Error as error:
        raise file.error(start, f"not CSV ({error}); is a quote missing?") from error
    if loose:
        gatherer.notes.append(f"commas outside quotes taken as the caption's own: {loose:,} lines")
