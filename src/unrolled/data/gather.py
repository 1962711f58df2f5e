"""What all readers share: collect captions by photo, then say what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from unrolled.data.captions import CaptionSet, Photo
from unrolled.data.files import Fail
from unrolled.data.photos import PhotoFinder, check_photo_name
from unrolled.data.splits import hashed_splits
from unrolled.data.tokens import MAX_CHARACTERS
from unrolled.errors import CaptionFileError

HASHED = "splits are drawn by a hash of the photo names: 80 % train, 10 % dev, 10 % test"


class Gatherer:
    """Captions by photo name, as they come out of a file.

    Attributes
    ----------
    captions : dict of str to list of str
        In the order of first appearance; a photo may have none.
    notes : list of str
    """

    def __init__(self) -> None:
        self.captions: dict[str, list[str]] = {}
        self.notes: list[str] = []
        self._locations: dict[str, tuple[str, ...]] = {}
        self._empty = 0
        self._first_empty: str | None = None

    def photo(self, name: str, fail: Fail, *, folder: str = "") -> str:
        """Take a photo in; returns its name in plain form.

        Parameters
        ----------
        name : str
        fail : callable
            Makes an error about this place in the file.
        folder : str
            Where the file says the photo lies, below the photo folder.

        Raises
        ------
        CaptionFileError
            For a name that leads out of the photo folder.
        """
        if name in self.captions:
            return name  # checked before, and in plain form, as all keys are
        plain = check_photo_name(name, fail)
        self.captions.setdefault(plain, [])
        if folder:
            self._locations[plain] = (check_photo_name(f"{folder}/{plain}", fail), plain)
        return plain

    def caption(self, name: str, caption: str, fail: Fail) -> None:
        """Add a caption to a photo that was taken in; an empty one is counted and left out.

        Raises
        ------
        CaptionFileError
            For more than `MAX_CHARACTERS` characters, or half a surrogate pair.
        """
        if len(caption) > MAX_CHARACTERS:
            raise fail(
                f"a caption of {len(caption):,} characters (at most {MAX_CHARACTERS:,}); "
                "is a quote or a line end missing?"
            )
        if not caption.isascii() and any(
            "\ud800" <= character <= "\udfff" for character in caption
        ):
            raise fail("the caption has half a surrogate pair, which is no character")
        caption = " ".join(caption.split())
        if caption:
            self.captions[name].append(caption)
            return
        self._empty += 1
        if self._first_empty is None:
            self._first_empty = str(fail("")).rstrip(": ")

    def finish(
        self,
        format: str,  # noqa: A002 (the public name of it)
        source: Path,
        finder: PhotoFinder,
        splits: Mapping[str, str] | None,
    ) -> CaptionSet:
        """Make the caption set.

        Parameters
        ----------
        format : str
        source : Path
            What was read, for an error.
        finder : PhotoFinder
            Where the photos may lie. Where it finds none of them, all paths are None.
        splits : mapping or None
            Split of each photo's name; None: by a hash of the names.

        Raises
        ------
        CaptionFileError
            When no caption is left.
        """
        if self._empty:
            note = f"{_count(self._empty, 'empty caption')} left out"
            self.notes.append(f"{note} (first: {self._first_empty})")
        bare = [name for name, captions in self.captions.items() if not captions]
        if bare:
            self.notes.append(f"{_count(len(bare), 'photo')} without a caption: {_some(bare)}")
        paths = self._find_photos(finder)
        if splits is None:
            splits = hashed_splits(paths)
            self.notes.append(HASHED)
        else:
            self._note_split_lists(splits, paths)
        if not paths:
            raise CaptionFileError(f"{source}: no captions in it")
        photos = tuple(
            Photo(name, path, tuple(self.captions[name]), splits.get(name))
            for name, path in paths.items()
        )
        return CaptionSet(photos, format, tuple(self.notes))

    def _find_photos(self, finder: PhotoFinder) -> dict[str, Path | None]:
        """Path of every captioned photo; those that are missing are left out and noted."""
        paths = {
            name: finder.find(*self._locations.get(name, (name,)))
            for name, captions in self.captions.items()
            if captions
        }
        found = {name: path for name, path in paths.items() if path is not None}
        if not found:
            looked = ", ".join(str(folder) for folder in finder.looked_in) or "nowhere"
            self.notes.append(f"no photos found (looked in {looked}); captions only")
            return paths
        missing = [name for name in paths if name not in found]
        if missing:
            captions = sum(len(self.captions[name]) for name in missing)
            self.notes.append(
                f"{_count(captions, 'caption')} of {_count(len(missing), 'photo')} left out, "
                f"as the photos are not there: {_some(missing)}"
            )
        others = finder.others(found.values())
        if others:
            names = _some([path.name for path in others])
            self.notes.append(f"{_count(len(others), 'photo file')} without captions: {names}")
        return dict(found)

    def _note_split_lists(self, splits: Mapping[str, str], kept: Mapping[str, object]) -> None:
        unlisted = [name for name in kept if name not in splits]
        if unlisted:
            self.notes.append(f"{_count(len(unlisted), 'photo')} in no split: {_some(unlisted)}")
        absent = [name for name in splits if name not in kept]
        if absent:
            self.notes.append(
                f"{_count(len(absent), 'photo')} in the split lists without captions or file: "
                f"{_some(absent)}"
            )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _some(names: Sequence[str] | Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
