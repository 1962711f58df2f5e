"""What every caption file becomes: photos with their captions, and what was odd about the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from unrolled.data.splits import SPLITS, canonical_split
from unrolled.errors import InputError

UNSPLIT = "unsplit"
"""Key of `CaptionSet.counts` for photos that belong to no split."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo and what people said about it.

    Attributes
    ----------
    name : str
        Unique within its `CaptionSet`; a relative path with ``/`` between its parts. The key of
        the photo's row in a feature store.
    path : Path or None
        Where the photo lies; None when only captions are at hand.
    captions : tuple of str
        At least one. Each is one line: runs of white space are single spaces.
    split : str or None
        ``"train"``, ``"dev"`` or ``"test"``; None for a photo that the data set's lists leave out.
    """

    name: str
    path: Path | None
    captions: tuple[str, ...]
    split: str | None = None


class SplitCounts(NamedTuple):
    """How many photos and captions a split holds."""

    photos: int
    captions: int


@dataclass(frozen=True)
class CaptionSet:
    """Captioned photos as a reader found them.

    Attributes
    ----------
    photos : tuple of Photo
        In the file's order; names are unique.
    format : str
        The layout they were read from, one of `unrolled.data.FORMATS`.
    notes : tuple of str
        What was left out or assumed, a sentence each, for a person to read: captions without a
        photo, photos without captions, empty captions, where the splits come from.
    """

    photos: tuple[Photo, ...]
    format: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.photos)

    def __iter__(self) -> Iterator[Photo]:
        return iter(self.photos)

    @property
    def counts(self) -> dict[str, SplitCounts]:
        """Photos and captions of each split that is not empty: train, dev, test, unsplit."""
        counts = {}
        for name in (*SPLITS, None):
            photos = [photo for photo in self.photos if photo.split == name]
            if photos:
                captions = sum(len(photo.captions) for photo in photos)
                counts[name or UNSPLIT] = SplitCounts(len(photos), captions)
        return counts

    def split(self, name: str) -> CaptionSet:
        """Photos of one split, in the same order.

        Parameters
        ----------
        name : str
            ``"train"``, ``"dev"`` (also ``"val"``, ``"valid"``, ``"validation"``) or ``"test"``.

        Raises
        ------
        InputError
            For a name that is no split's, and for a split that has no photos here.
        """
        wanted = canonical_split(name)
        photos = tuple(photo for photo in self.photos if photo.split == wanted)
        if wanted is None or not photos:
            have = ", ".join(f"{key} ({n.photos:,} photos)" for key, n in self.counts.items())
            raise InputError(f"no photos in split {name!r}; these captions have {have or 'none'}")
        return replace(self, photos=photos)
