"""The CS231n assignment's ``coco_captioning/``: captions as ids, and features made beforehand.

Source: Stanford CS231n, assignment 3 (2016 to 2024), ``coco_captioning.zip``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unrolled.data.captions import CaptionSet, Photo
from unrolled.data.encode import EncodedCaptions, caption_lengths
from unrolled.data.files import JsonFile, TextFile
from unrolled.data.vocabulary import Vocabulary
from unrolled.errors import CaptionFileError, DataError, MissingExtraError

NAME = "coco_captioning"
LOOKS_LIKE = "coco2014_captions.h5 and coco2014_vocab.json (the CS231n assignment's)"

MAX_ARRAY_BYTES = 8 << 30
"""Largest HDF5 data set that is read, in bytes; the assignment's largest is 1.4 GB."""

_CAPTIONS = "coco2014_captions.h5"
_VOCABULARY = "coco2014_vocab.json"
_SPLITS = {"train": "train", "dev": "val"}


class CocoSplit(NamedTuple):
    """One split of the assignment's data, as `unrolled.data.CaptionBatches` wants it.

    Attributes
    ----------
    encoded : EncodedCaptions
        captions (M, T) int32, lengths (M,) int32, photo_index (M,) int64.
    features : (P, D) float32
        512 wide after PCA, 4096 as they came from VGG-16's fc7.
    urls : tuple of str
        Where each photo was once, P of them, or none.
    """

    encoded: EncodedCaptions
    features: np.ndarray
    urls: tuple[str, ...]


@dataclass(frozen=True)
class CocoCaptioning:
    """The assignment's data: a vocabulary, and a `CocoSplit` for ``"train"`` and ``"dev"``."""

    vocabulary: Vocabulary
    splits: dict[str, CocoSplit]


def read_coco_captioning(path: str | Path, *, pca: bool = True) -> CocoCaptioning:
    """Read captions, features, vocabulary and URLs of the assignment's data.

    Parameters
    ----------
    path : str or Path
        The folder ``coco_captioning``.
    pca : bool
        Features reduced to 512 numbers (``*_vgg16_fc7_pca.h5``), or all 4096.

    Returns
    -------
    CocoCaptioning

    Raises
    ------
    CaptionFileError
        When a file is missing or damaged, or ids do not fit the vocabulary or the features.
    MissingExtraError
        Without h5py.
    """
    folder = Path(path)
    vocabulary = _read_vocabulary(folder)
    suffix = "_pca" if pca else ""
    splits = {}
    for split, prefix in _SPLITS.items():
        encoded = _read_encoded(folder, prefix, vocabulary)
        file = folder / f"{prefix}2014_vgg16_fc7{suffix}.h5"
        features = _read_array(file, "features", ndim=2, kind="f").astype(np.float32, copy=False)
        photos = int(encoded.photo_index.max(initial=-1)) + 1
        if photos > len(features):
            raise CaptionFileError(
                f"{file}: {len(features):,} rows of features, but captions of {photos:,} photos"
            )
        splits[split] = CocoSplit(encoded, features, _read_urls(folder, prefix, len(features)))
    return CocoCaptioning(vocabulary, splits)


def found(path: Path) -> bool:
    """Whether the path is a folder with the assignment's captions."""
    return (path / _CAPTIONS).is_file()


def read(path: Path, photos: Path | None = None) -> CaptionSet:
    """Read the captions as text; see `unrolled.data.read_captions`.

    The data set names no photos: they are called ``train2014/000000`` and so on, by their row in
    the features.
    """
    if not path.is_dir():
        raise CaptionFileError(f"{path}: expected the folder coco_captioning, got a file")
    vocabulary = _read_vocabulary(path)
    records: list[Photo] = []
    unknown = 0
    for split, prefix in _SPLITS.items():
        encoded = _read_encoded(path, prefix, vocabulary)
        unknown += int((encoded.captions == vocabulary.unk).any(axis=1).sum())
        texts: dict[int, list[str]] = {}
        for row, ids in zip(encoded.photo_index.tolist(), encoded.captions.tolist(), strict=True):
            texts.setdefault(row, []).append(vocabulary.decode(ids))
        for row, captions in sorted(texts.items()):
            kept = tuple(filter(None, captions))
            if kept:
                records.append(Photo(f"{prefix}2014/{row:06d}", None, kept, split))
    if not records:
        raise CaptionFileError(f"{path / _CAPTIONS}: no captions in it")
    notes = [
        "this data set names no photos, its features come with it; captions only",
        f"words the vocabulary lacks are left out of {unknown:,} captions",
    ]
    if photos is not None:
        notes.append(f"{photos} is not used, as the photos have no names")
    return CaptionSet(tuple(records), NAME, tuple(notes))


def _read_vocabulary(folder: Path) -> Vocabulary:
    file = JsonFile.read(folder / _VOCABULARY)
    try:
        return Vocabulary.from_json(file.value)
    except DataError as error:
        raise CaptionFileError(f"{file.path}: {error}") from error


def _read_encoded(folder: Path, prefix: str, vocabulary: Vocabulary) -> EncodedCaptions:
    """Captions of one split, checked against the vocabulary."""
    file = folder / _CAPTIONS
    captions = _read_array(file, f"{prefix}_captions", ndim=2, kind="iu")
    rows = _read_array(file, f"{prefix}_image_idxs", ndim=1, kind="iu")
    if len(rows) != len(captions):
        raise CaptionFileError(
            f"{file}: {prefix}_captions has {len(captions):,} rows, "
            f"{prefix}_image_idxs {len(rows):,}; expected as many"
        )
    bad = (captions < 0) | (captions >= len(vocabulary))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise CaptionFileError(
            f"{file}: {prefix}_captions[{row}, {column}] is {captions[row, column]}; "
            f"the vocabulary has ids 0 to {len(vocabulary) - 1}"
        )
    if rows.size and rows.min() < 0:
        raise CaptionFileError(f"{file}: {prefix}_image_idxs has {rows.min()}, below 0")
    captions = captions.astype(np.int32)
    lengths = caption_lengths(captions, vocabulary.null)
    return EncodedCaptions(captions, lengths, rows.astype(np.int64))


def _read_array(path: Path, name: str, *, ndim: int, kind: str) -> np.ndarray:
    """Return one data set of an HDF5 file, whole."""
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError(
            f'{path}: reading HDF5 needs h5py; pip install "unrolled[train]"'
        ) from error
    if not path.is_file():
        raise CaptionFileError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            link = file.get(name, getlink=True)
            item: Any = file[name] if isinstance(link, h5py.HardLink) else None
            if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
                have = ", ".join(list(file)[:8]) or "nothing"
                raise CaptionFileError(f"{path}: no data set {name!r} in it (it has {have})")
            if item.ndim != ndim or item.dtype.kind not in kind:
                raise CaptionFileError(
                    f"{path}: {name} must have {ndim} axes of {_KINDS[kind]}, "
                    f"got shape {item.shape} of {item.dtype}"
                )
            if item.size * item.dtype.itemsize > MAX_ARRAY_BYTES:
                raise CaptionFileError(f"{path}: {name} {item.shape} is too large to be read")
            return np.asarray(item[()])
    except (OSError, RuntimeError, KeyError) as error:
        raise CaptionFileError(f"{path}: not an HDF5 file that can be read ({error})") from error


_KINDS = {"f": "floating-point numbers", "iu": "integers"}


def _read_urls(folder: Path, prefix: str, count: int) -> tuple[str, ...]:
    path = folder / f"{prefix}2014_urls.txt"
    if not path.is_file():
        return ()
    urls = tuple(line for _, line in TextFile.read(path).lines() if line)
    if len(urls) != count:
        raise CaptionFileError(f"{path}: {len(urls):,} URLs for {count:,} rows of features")
    return urls
