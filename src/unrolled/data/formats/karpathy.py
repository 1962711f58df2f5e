"""Karpathy's ``dataset_*.json``: photos with sentences and a split each.

Source: Karpathy & Fei-Fei (2015), ``caption_datasets.zip``; for Flickr8k, Flickr30k and COCO.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from unrolled.data.captions import CaptionSet
from unrolled.data.files import JsonFile, Keys
from unrolled.data.formats import sniff
from unrolled.data.formats.flickr8k import PHOTO_FOLDERS
from unrolled.data.gather import Gatherer
from unrolled.data.photos import PhotoFinder
from unrolled.data.splits import canonical_split
from unrolled.errors import CaptionFileError

NAME = "karpathy"
LOOKS_LIKE = "dataset.json or dataset_*.json, Karpathy's, with images[].sentences[].raw"

_PATTERNS = ("dataset.json", "dataset_*.json")
_PHOTO_FOLDERS = (*PHOTO_FOLDERS, "flickr30k-images", "flickr30k_images", ".")


def found(path: Path) -> bool:
    """Whether the path is such a JSON file or a folder with one."""
    if path.is_file():
        return sniff.kind_of_json(path) == NAME
    return bool(sniff.matching(path, _PATTERNS))


def read(path: Path, photos: Path | None = None) -> CaptionSet:
    """Read the layout from its folder or its JSON file; see `unrolled.data.read_captions`."""
    source = path
    if path.is_dir():
        files = sniff.matching(path, _PATTERNS)
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "none"
            raise CaptionFileError(
                f"{path}: expected one dataset_*.json, got {names}; name the file"
            )
        source = files[0]
    file = JsonFile.read(source)
    gatherer = Gatherer()
    splits: dict[str, str] = {}
    for index, image in enumerate(file.member(file.value, "images", list, ())):
        name, split = _gather_image(file, gatherer, image, ("images", index))
        if name in splits:
            raise file.error(("images", index), f"photo {name!r} is there twice")
        splits[name] = split
    folders = [source.parent / folder for folder in _PHOTO_FOLDERS]
    finder = PhotoFinder([photos] if photos else folders)
    return gatherer.finish(NAME, source, finder, splits)


def _gather_image(file: JsonFile, gatherer: Gatherer, image: Any, keys: Keys) -> tuple[str, str]:
    """Take in one of ``images``; returns the photo's name and its split."""
    fail = partial(file.error, keys)
    filename = file.member(image, "filename", str, keys)
    folder = file.member(image, "filepath", str, keys) if "filepath" in image else ""
    split = canonical_split(text := file.member(image, "split", str, keys))
    if split is None:
        raise fail(f"split {text!r} is none of train, restval, val, test")
    name = gatherer.photo(filename, fail, folder=folder)
    for number, sentence in enumerate(file.member(image, "sentences", list, keys)):
        place: Keys = (*keys, "sentences", number)
        if isinstance(sentence, dict) and "raw" not in sentence and "tokens" in sentence:
            words = file.member(sentence, "tokens", list, place)
            if not all(isinstance(word, str) for word in words):
                raise file.error(place, "'tokens' must be a list of words")
            caption = " ".join(words)
        else:
            caption = file.member(sentence, "raw", str, place)
        gatherer.caption(name, caption, partial(file.error, place))
    return name, split
