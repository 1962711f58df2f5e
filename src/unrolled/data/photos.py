"""Photo names that stay inside their folder, and where those photos lie."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from unrolled.data.files import Fail
from unrolled.errors import CaptionFileError

PHOTO_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"}
    | {".mpo", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Suffixes of photo files, in lower case; files may spell them in any case.

Those of what every Pillow that is allowed can decode: AVIF is not there before Pillow 11.3.
"""

MAX_NAME_LENGTH = 1024
"""Longest photo name, in characters."""


def is_photo(name: str) -> bool:
    """Whether a file name has a photo's suffix, in any case."""
    return os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES  # noqa: PTH122 (called per file)


def check_photo_name(name: str, fail: Fail) -> str:
    """Return the name in its plain form, a relative path that cannot leave its folder.

    Parameters
    ----------
    name : str
        As a caption file gives it, with ``/`` between its parts.
    fail : callable
        Makes the error from a message.

    Raises
    ------
    CaptionFileError
        For an absolute path, a ``..``, a backslash, a drive, a control character, or no name.
    """
    if len(name) > MAX_NAME_LENGTH:
        raise fail(f"a photo name of {len(name):,} characters (at most {MAX_NAME_LENGTH:,})")
    plain = PurePosixPath(name)
    if not plain.parts:
        raise fail(f"the photo has no name, got {name!r}")
    leaves = plain.is_absolute() or ".." in plain.parts or "\\" in name
    if leaves or re.match(r"[A-Za-z]:", name):
        raise fail(
            f"photo name {name!r} leads out of the photo folder; "
            "expected a name relative to it, such as 'a.jpg' or 'dogs/a.jpg'"
        )
    if not name.isprintable() and not all(_is_text(character) for character in name):
        raise fail(f"photo name {name!r} has characters that no file name can hold")
    return str(plain)


def _is_text(character: str) -> bool:
    """Neither a control character nor half of a surrogate pair."""
    return unicodedata.category(character) not in ("Cc", "Cs")


class PhotoFinder:
    """Finds photos by name in one or more folders.

    A name's suffix matches in any case (``a.jpg`` finds ``a.JPG``), and the rest in any Unicode
    normal form (macOS decomposes accents); the exact name wins where both exist.

    Parameters
    ----------
    folders : sequence of Path
        Where to look, in order; those that do not exist are passed over.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.looked_in = tuple(folders)
        self.folders = tuple(folder for folder in self.looked_in if folder.is_dir())
        self._listings: dict[Path, dict[str, str]] = {}

    def find(self, *names: str) -> Path | None:
        """Return the path of the first of these names that exists, or None."""
        for folder in self.folders:
            for name in names:
                *parents, last = PurePosixPath(name).parts
                listing = self.listing(folder.joinpath(*parents))
                actual = listing.get(last) or listing.get(_fold(last))
                if actual is not None:
                    return folder.joinpath(*parents, actual)
        return None

    def listing(self, folder: Path) -> dict[str, str]:
        """Files of a folder by their names, exact and folded; read once, empty if not there."""
        if folder not in self._listings:
            try:
                names = sorted(entry.name for entry in os.scandir(folder) if not entry.is_dir())
            except (FileNotFoundError, NotADirectoryError):
                names = []
            except OSError as error:
                raise CaptionFileError(
                    f"{folder}: cannot be listed ({error.strerror or error})"
                ) from error
            listing = {name: name for name in names}
            for name in names:
                listing.setdefault(_fold(name), name)
            self._listings[folder] = listing
        return self._listings[folder]

    def others(self, used: Iterable[Path]) -> list[Path]:
        """Photos beside the ones that were looked for, less the `used` ones; sorted."""
        used = set(used)
        found = {
            folder / name
            for folder, listing in self._listings.items()
            for name in listing.values()
            if is_photo(name)
        }
        return sorted(found - used)


def _fold(name: str) -> str:
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 (called per file)
    return unicodedata.normalize("NFC", stem) + suffix.lower()
