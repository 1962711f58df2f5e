"""Which photos a person means by the paths they give."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from unrolled.data import PHOTO_SUFFIXES
from unrolled.errors import ImageError


def find_photos(
    paths: Iterable[str | Path],
    *,
    recursive: bool = False,
    on_error: Callable[[ImageError], None] | None = None,
) -> list[str]:
    """List photos: a file as it is named, a folder's photos in the order of their names.

    Parameters
    ----------
    paths : iterable of paths
        A file is taken whatever its suffix; of a folder, the files with a photo's suffix.
    recursive : bool
        Also the folders in a folder; hidden ones and links to folders are passed over.
    on_error : callable, optional
        Takes what is wrong with a path, and the others go on; without it the first is raised.

    Returns
    -------
    list of str
        In the order of ``paths``, each as often as it was given. A file's path is as it was given,
        to the letter; that of a photo in a folder is the folder's with the rest behind it.

    Raises
    ------
    ImageError
        If a path does not exist or cannot be read, or a folder holds no photos, and there is no
        on_error.
    """
    found: list[str] = []
    for path in [os.fspath(each) for each in paths]:
        try:
            found += _in_folder(path, recursive) if _is_folder(path) else [path]
        except ImageError as error:
            if on_error is None:
                raise
            on_error(error)
    return found


def _is_folder(path: str) -> bool:
    """Tell a folder from a file, and say why where there is neither."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)  # noqa: PTH116 - a text stays as it was given
    except FileNotFoundError:
        raise ImageError(f"{path}: there is no such file or folder") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{path}: cannot be read ({reason})") from error


def _in_folder(folder: str, recursive: bool) -> list[str]:
    def fail(error: OSError) -> None:
        raise ImageError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    photos: list[str] = []
    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(f for f in folders if recursive and not f.startswith("."))
        photos += [
            os.path.join(parent, name)  # noqa: PTH118
            for name in sorted(files)
            if os.path.splitext(name)[1].lower() in PHOTO_SUFFIXES and not name.startswith(".")  # noqa: PTH122
        ]
    if not photos:
        suffixes = " ".join(sorted(PHOTO_SUFFIXES))
        hint = "" if recursive else ", or -r to look in the folders inside"
        raise ImageError(f"{folder}: no photos in this folder; expected {suffixes}{hint}")
    return photos
