"""Which photos a person means by the paths they give."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from unrolled.data import PHOTO_SUFFIXES
from unrolled.errors import ImageError


def find_photos(paths: Iterable[str | Path], *, recursive: bool = False) -> list[Path]:
    """List photos: a file as it is named, a folder's photos in the order of their names.

    Parameters
    ----------
    paths : iterable of paths
        A file is taken whatever its suffix; of a folder, the files with a photo's suffix.
    recursive : bool
        Also the folders in a folder; hidden ones and links to folders are passed over.

    Returns
    -------
    list of Path
        Each once, in the order of ``paths``.

    Raises
    ------
    ImageError
        If a path does not exist or cannot be read, or a folder holds no photos.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not _is_folder(path):
            found[path] = None
            continue
        photos = _in_folder(path, recursive)
        if not photos:
            suffixes = " ".join(sorted(PHOTO_SUFFIXES))
            hint = "" if recursive else ", or -r to look in the folders inside"
            raise ImageError(f"{path}: no photos in this folder; expected {suffixes}{hint}")
        found |= dict.fromkeys(photos)
    return list(found)


def _is_folder(path: Path) -> bool:
    """Tell a folder from a file, and say why where there is neither."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        raise ImageError(f"{path}: there is no such file or folder") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{path}: cannot be read ({reason})") from error


def _in_folder(folder: Path, recursive: bool) -> list[Path]:
    def fail(error: OSError) -> None:
        raise ImageError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    photos = []
    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(f for f in folders if recursive and not f.startswith("."))
        photos += [
            Path(parent, name)
            for name in sorted(files)
            if os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES and not name.startswith(".")  # noqa: PTH122
        ]
    return photos
