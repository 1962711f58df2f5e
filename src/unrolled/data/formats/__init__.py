"""Read captions in any of the layouts that people have; the layout is recognised by looking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unrolled.data.captions import CaptionSet
from unrolled.data.formats import coco, coco_captioning, flickr8k, folder, kaggle, karpathy
from unrolled.errors import CaptionFileError, InputError


@dataclass(frozen=True)
class Format:
    """One layout of caption files.

    Attributes
    ----------
    name : str
    looks_like : str
        What a person sees when it is there.
    found : callable
        Whether a path looks like it; cheap, and never raises for a readable path.
    read : callable
        Reads a path; a second argument says where the photos lie.
    """

    name: str
    looks_like: str
    found: Callable[[Path], bool]
    read: Callable[[Path, Path | None], CaptionSet]


_FORMATS = {
    module.NAME: Format(module.NAME, module.LOOKS_LIKE, module.found, module.read)
    for module in (flickr8k, kaggle, karpathy, coco, coco_captioning, folder)
}

FORMATS = tuple(_FORMATS)
"""Names of the layouts that `read_captions` knows."""


def read_captions(
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 (it is what people look for)
    photos: str | Path | None = None,
) -> CaptionSet:
    """Read photos and captions in any of these layouts.

    ===================  =======================================================================
    ``flickr8k``         ``Flickr8k.token.txt``, ``Flickr_8k.trainImages.txt`` and its kin,
                         ``Flicker8k_Dataset/``
    ``kaggle``           ``captions.txt``, a CSV file with header ``image,caption``; ``Images/``
    ``karpathy``         ``dataset_*.json`` with photos, sentences and splits
    ``coco``             ``captions_*.json``, one for each split, also in ``annotations/``
    ``coco_captioning``  the CS231n assignment's ``coco2014_captions.h5`` and ``_vocab.json``
    ``folder``           photos, each with a ``.txt`` of the same name beside it, a caption a line
    ===================  =======================================================================

    Splits are the data set's own; where it has none they are drawn by a hash of the photo names
    (`hashed_splits`). Captions without a photo, photos without captions and empty captions are
    left out and counted in `CaptionSet.notes`; where no photo at all is found, the captions are
    read alone.

    Parameters
    ----------
    path : str or Path
        The data set's folder, or its caption file.
    format : str, optional
        One of `FORMATS`; recognised by looking when not given.
    photos : str or Path, optional
        Folder of the photos, when they lie elsewhere than usual.

    Returns
    -------
    CaptionSet

    Raises
    ------
    CaptionFileError
        When no layout, or more than one, is recognised; when a file cannot be read (the message
        names file and line); when a photo name leads out of the photo folder.
    InputError
        For a `format` that is none of `FORMATS`.
    """
    path = Path(path)
    if format is not None and format not in _FORMATS:
        raise InputError(f"unknown caption format {format!r}; there are {', '.join(FORMATS)}")
    if not path.exists():
        raise CaptionFileError(f"{path}: no such file or folder")
    photo_folder = None if photos is None else Path(photos)
    if photo_folder is not None and not photo_folder.is_dir():
        raise CaptionFileError(f"{photo_folder}: no such folder of photos")
    chosen = _FORMATS[format] if format is not None else _recognise(path)
    return chosen.read(path, photo_folder)


def _recognise(path: Path) -> Format:
    candidates = [each for each in _FORMATS.values() if each.name != folder.NAME]
    found = [each for each in candidates if each.found(path)]
    if not found and _FORMATS[folder.NAME].found(path):
        return _FORMATS[folder.NAME]  # last, as it is the least particular about what it finds
    if len(found) > 1:
        names = " and ".join(each.name for each in found)
        raise CaptionFileError(
            f"{path}: more than one layout is there ({names}); "
            "give the caption file itself instead of the folder, or name the format"
        )
    if not found:
        looked = "\n".join(f"  {each.name}: {each.looks_like}" for each in _FORMATS.values())
        raise CaptionFileError(
            f"{path}: no captions recognised. Looked for:\n{looked}\nFound: {_contents(path)}"
        )
    return found[0]


def _contents(path: Path) -> str:
    if path.is_file():
        return f"a file named {path.name}"
    try:
        names = sorted(entry.name + "/" * entry.is_dir() for entry in path.iterdir())
    except OSError as error:
        return f"a folder that cannot be listed ({error.strerror or error})"
    return ", ".join(names[:6]) + (f" and {len(names) - 6:,} more" if len(names) > 6 else "") or (
        "an empty folder"
    )
