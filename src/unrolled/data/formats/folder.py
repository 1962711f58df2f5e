"""Photos in a folder, each with a ``.txt`` of the same name beside it, a caption a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from unrolled.data.captions import CaptionSet
from unrolled.data.files import TextFile
from unrolled.data.gather import Gatherer
from unrolled.data.photos import PhotoFinder, is_photo
from unrolled.data.splits import canonical_split, find_split_lists, read_split_lists
from unrolled.errors import CaptionFileError

NAME = "folder"
LOOKS_LIKE = "photos, each with a .txt of the same name beside it (dog.jpg, dog.txt)"

MAX_TEXT_BYTES = 1 << 20
"""Largest ``.txt`` beside a photo, in bytes."""

MAX_FILES = 2_000_000
"""How many files a folder may hold, those in its folders included."""


def found(path: Path) -> bool:
    """Whether a photo below the path has a text beside it."""
    return path.is_dir() and any(_pairs(folder, names) for folder, names in _walk(path))


def read(path: Path, photos: Path | None = None) -> CaptionSet:
    """Read the layout from its folder; see `unrolled.data.read_captions`.

    Photos may lie in folders of any depth; a photo's name is its path below the folder. Splits:
    the lists ``train.txt``, ``dev.txt`` (``val.txt``), ``test.txt`` where they are there (and no
    photo has that name); else the top folders, where all are named after splits; else by a hash
    of the names.
    """
    if not path.is_dir():
        raise CaptionFileError(f"{path}: expected a folder of photos, got a file")
    root = photos or path
    gatherer = Gatherer()
    finder = PhotoFinder([root])
    lists: dict[Path, str] = {}
    spare: list[str] = []
    for folder, names in _walk(path):
        pairs = _pairs(folder, names)
        for text, photo in pairs.items():
            _gather_pair(folder / text, (folder / photo).relative_to(path).as_posix(), gatherer)
        texts = {name for name in names if name.lower().endswith(".txt") and name not in pairs}
        if folder == path:
            lists = {file: s for file, s in find_split_lists(path).items() if file.name in texts}
            texts -= {file.name for file in lists}
        spare += [(folder / name).relative_to(path).as_posix() for name in sorted(texts)]
        finder.listing(root / folder.relative_to(path))
    if spare:
        some = ", ".join(spare[:3]) + (", ..." if len(spare) > 3 else "")
        gatherer.notes.append(f"text files without a photo beside them: {len(spare):,} ({some})")
    splits = read_split_lists(lists) or _folder_splits(gatherer.captions)
    return gatherer.finish(NAME, path, finder, splits)


def _walk(path: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders and their file names, in order; hidden folders and linked ones are passed over."""
    seen = 0

    def fail(error: OSError) -> None:
        raise CaptionFileError(f"{error.filename}: cannot be listed ({error.strerror})")

    for folder, folders, names in os.walk(path, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        seen += len(names)
        if seen > MAX_FILES:
            raise CaptionFileError(
                f"{path}: more than {MAX_FILES:,} files; is it the right folder?"
            )
        yield Path(folder), sorted(name for name in names if not name.startswith("."))


def _pairs(folder: Path, names: list[str]) -> dict[str, str]:
    """Name of each text file in a folder that has a photo beside it, to that photo's name."""
    texts = {name[:-4]: name for name in names if name.lower().endswith(".txt")}
    pairs: dict[str, str] = {}
    for photo in filter(is_photo, names):
        text = texts.get(Path(photo).stem)
        if text is None:
            continue
        if text in pairs:
            raise CaptionFileError(
                f"{folder / text}: belongs to {pairs[text]} and to {photo}; "
                "rename one photo and its text"
            )
        pairs[text] = photo
    return pairs


def _gather_pair(text: Path, name: str, gatherer: Gatherer) -> None:
    file = TextFile.read(text, MAX_TEXT_BYTES)
    plain = gatherer.photo(name, partial(file.error, 1))
    for number, line in file.lines():
        if line.strip():  # a blank line parts captions, it is no empty caption
            gatherer.caption(plain, line, partial(file.error, number))


def _folder_splits(names: dict[str, list[str]]) -> dict[str, str] | None:
    """Split by the top folder's name, when every photo lies in one named after a split."""
    splits = {name: canonical_split(name.partition("/")[0]) for name in names if "/" in name}
    known = {name: split for name, split in splits.items() if split is not None}
    return known if known and len(known) == len(names) else None
