r"""Flickr8k's official layout: ``name.jpg#0<TAB>caption``, and lists of photos for the splits.

Source: Hodosh, Young & Hockenmaier (2013), the archives ``Flickr8k_text.zip`` and
``Flickr8k_Dataset.zip`` (whose photo folder is spelt ``Flicker8k_Dataset``).
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from unrolled.data.captions import CaptionSet
from unrolled.data.files import TextFile
from unrolled.data.gather import Gatherer
from unrolled.data.photos import PhotoFinder
from unrolled.data.splits import find_split_lists, read_split_lists
from unrolled.errors import CaptionFileError

NAME = "flickr8k"
LOOKS_LIKE = "Flickr8k.token.txt (also in Flickr8k_text/), with Flicker8k_Dataset/"

PHOTO_FOLDERS = (
    "Flicker8k_Dataset",
    "Flickr8k_Dataset",
    "Flickr8k_Dataset/Flicker8k_Dataset",
    "Images",
    "images",
)
_TOKEN_FILES = ("Flickr8k.token.txt", "Flickr8k_text/Flickr8k.token.txt")


def found(path: Path) -> bool:
    """Whether the path is a token file or a folder with one."""
    return _token_file(path) is not None


def read(path: Path, photos: Path | None = None) -> CaptionSet:
    """Read the layout from its folder or its token file; see `unrolled.data.read_captions`."""
    token_file = path if path.is_file() else _token_file(path)
    if token_file is None:
        raise CaptionFileError(f"{path}: no {_TOKEN_FILES[0]} in it, nor in Flickr8k_text/")
    file = TextFile.read(token_file)
    gatherer = Gatherer()
    for number, line in file.lines():
        if not line.strip():
            continue
        fail = partial(file.error, number)
        key, tab, caption = line.partition("\t")
        name, hash_sign, index = key.rpartition("#")
        if not tab or not hash_sign or not index.isdigit():
            missing = "no number after a #" if tab else "no tab"
            raise fail(f"expected 'name.jpg#0<TAB>caption', got {missing}: {line[:60]!r}")
        gatherer.caption(gatherer.photo(name, fail), caption, fail)
    text_folder = token_file.parent
    bases = [text_folder]
    if text_folder.name == "Flickr8k_text":
        bases.append(text_folder.parent)
    folders = [base / folder for base in bases for folder in PHOTO_FOLDERS]
    splits = read_split_lists(find_split_lists(text_folder))
    finder = PhotoFinder([photos] if photos else folders)
    return gatherer.finish(NAME, token_file, finder, splits)


def _token_file(path: Path) -> Path | None:
    if path.is_dir():
        files = (path / name for name in _TOKEN_FILES)
        return next((file for file in files if file.is_file()), None)
    return path if re.search(r"\.token(\.txt)?$", path.name) else None
