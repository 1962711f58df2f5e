"""COCO's ``captions_*.json``: photos and annotations apart, one file for each split.

Source: Lin et al. (2014), Chen et al. (2015); https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from unrolled.data.captions import CaptionSet
from unrolled.data.files import JsonFile
from unrolled.data.formats import sniff
from unrolled.data.gather import Gatherer
from unrolled.data.photos import PhotoFinder
from unrolled.data.splits import canonical_split
from unrolled.errors import CaptionFileError

NAME = "coco"
LOOKS_LIKE = "captions_*.json (also in annotations/), COCO's, with images and annotations"

_PATTERNS = ("captions.json", "captions_*.json")


def found(path: Path) -> bool:
    """Whether the path is such a JSON file or a folder with some."""
    return bool(_files(path)) and (path.is_dir() or sniff.kind_of_json(path) == NAME)


def read(path: Path, photos: Path | None = None) -> CaptionSet:
    """Read the layout from its folder or one JSON file; see `unrolled.data.read_captions`.

    The split is in the file's name (``captions_train2017.json``). A file alone whose name tells
    none, such as ``captions.json``, has its photos split by a hash of their names.
    """
    files = _files(path)
    if not files:
        raise CaptionFileError(f"{path}: no captions_*.json in it, nor in annotations/")
    by_split: dict[str | None, Path] = {}
    for file in files:
        split = _split_of(file)
        if split in by_split or (split is None and len(files) > 1):
            other = by_split.get(split, files[0])
            raise CaptionFileError(
                f"{path}: {other.name} and {file.name} would both be {split or 'of no split'}; "
                "keep one file for each split in a folder, or give one file"
            )
        by_split[split] = file
    gatherer = Gatherer()
    splits: dict[str, str] = {}
    for split, file in by_split.items():
        _gather_file(JsonFile.read(file), split, gatherer, splits)
    finder = PhotoFinder([photos] if photos else _photo_folders(files))
    return gatherer.finish(NAME, path, finder, None if None in by_split else splits)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sniff.matching(path, _PATTERNS) or sniff.matching(path / "annotations", _PATTERNS)


def _split_of(file: Path) -> str | None:
    words = re.findall(r"[a-z]+", file.stem.lower())
    return next(filter(None, map(canonical_split, words)), None)


def _photo_folders(files: list[Path]) -> list[Path]:
    """Where COCO's photos usually lie: ``train2017/``, ``images/train2017/``, ``images/``."""
    base = files[0].parent
    bases = [base, base.parent] if base.name == "annotations" else [base]
    tags = [file.stem.removeprefix("captions_") for file in files]
    below = [*tags, *(f"images/{tag}" for tag in tags), "images"]
    return [base / folder for base in bases for folder in below]


def _gather_file(
    file: JsonFile, split: str | None, gatherer: Gatherer, splits: dict[str, str]
) -> None:
    """Take in the photos and captions of one file, and note the split of its photos."""
    names: dict[int | str, str] = {}
    for index, image in enumerate(file.member(file.value, "images", list, ())):
        keys = ("images", index)
        number = file.member(image, "id", (int, str), keys)
        filename = file.member(image, "file_name", str, keys)
        before = len(gatherer.captions)
        name = gatherer.photo(filename, partial(file.error, keys))
        if number in names or len(gatherer.captions) == before:
            raise file.error(keys, f"photo {filename!r} or its id {number!r} is there twice")
        names[number] = name
        if split is not None:
            splits[name] = split
    strays = 0
    for index, item in enumerate(file.member(file.value, "annotations", list, ())):
        keys = ("annotations", index)
        number = file.member(item, "image_id", (int, str), keys)
        caption = file.member(item, "caption", str, keys)
        if number in names:
            gatherer.caption(names[number], caption, partial(file.error, keys))
        strays += number not in names
    if strays:
        gatherer.notes.append(
            f"{strays:,} captions left out, as their image_id is no photo's in {file.path.name}"
        )
