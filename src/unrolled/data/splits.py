"""Train, dev and test: the data set's own lists where it has them, a hash of the names if not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from unrolled.data.files import TextFile
from unrolled.data.photos import check_photo_name

SPLITS = ("train", "dev", "test")

# Karpathy's 'restval' is the part of COCO's validation photos that everybody trains on.
_ALIASES = {
    **dict.fromkeys(("train", "training", "restval"), "train"),
    **dict.fromkeys(("dev", "val", "valid", "validation"), "dev"),
    **dict.fromkeys(("test", "testing"), "test"),
}

# The share of the hash's range that each split takes.
_TRAIN, _DEV = 0.8, 0.1


def canonical_split(name: str) -> str | None:
    """``"train"``, ``"dev"`` or ``"test"`` for any usual spelling of it; None for anything else."""
    return _ALIASES.get(name.strip().lower())


def _position(name: str) -> float:
    """Where a name falls in [0, 1): the first 8 bytes of its SHA-256."""
    digest = hashlib.sha256(name.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64


def hashed_splits(names: Iterable[str]) -> dict[str, str]:
    """Split of each name, by the SHA-256 of the name alone: 80 % train, 10 % dev, 10 % test.

    A photo keeps its split when others come or go, on every machine. With three photos or more
    no split stays empty: an empty one takes the photo whose hash is nearest to its range.

    Parameters
    ----------
    names : iterable of str

    Returns
    -------
    dict
        name to ``"train"``, ``"dev"`` or ``"test"``, in the order of the names.
    """
    names = list(names)
    position = {name: _position(name) for name in names}
    ranked = sorted(position, key=lambda name: (position[name], name))
    count = len(ranked)
    train_end = sum(at < _TRAIN for at in position.values())
    dev_end = sum(at < _TRAIN + _DEV for at in position.values())
    if count >= 3:
        train_end = min(max(train_end, 1), count - 2)
        dev_end = min(max(dev_end, train_end + 1), count - 1)
    split = {
        name: "train" if rank < train_end else "dev" if rank < dev_end else "test"
        for rank, name in enumerate(ranked)
    }
    return {name: split[name] for name in names}


def find_split_lists(folder: Path) -> dict[Path, str]:
    """Find the lists of photo names in `folder` and the split that each stands for.

    They are named ``Flickr_8k.trainImages.txt`` (dev, test) as in Flickr8k, or ``train.txt``
    (dev, val, test).
    """
    patterns: Mapping[str, Sequence[str]] = {
        "train": ("Flickr_8k.trainImages.txt", "train.txt"),
        "dev": ("Flickr_8k.devImages.txt", "dev.txt", "val.txt"),
        "test": ("Flickr_8k.testImages.txt", "test.txt"),
    }
    return {
        folder / name: split
        for split, names in patterns.items()
        for name in names
        if (folder / name).is_file()
    }


def read_split_lists(lists: Mapping[Path, str]) -> dict[str, str] | None:
    """Split of each photo that the lists name, one name a line; None when there are no lists.

    Raises
    ------
    CaptionFileError
        When a name cannot be a photo's, or stands in the lists of two splits.
    """
    if not lists:
        return None
    splits: dict[str, str] = {}
    for path, split in lists.items():
        file = TextFile.read(path)
        for number, line in file.lines():
            if not line.strip():
                continue
            name = check_photo_name(line.strip(), partial(file.error, number))
            if splits.setdefault(name, split) != split:
                raise file.error(
                    number,
                    f"{name} is listed for {split} here and for {splits[name]} elsewhere; "
                    "a photo belongs to one split",
                )
    return splits
