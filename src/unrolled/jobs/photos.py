"""Which photos a person means by the paths they give."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from unrolled.data import PHOTO_SUFFIXES
from unrolled.data.photos import is_photo
from unrolled.errors import ImageError
from unrolled.jobs.patterns import is_pattern, match

_SUFFIXES = " ".join(sorted(PHOTO_SUFFIXES))


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
        A file is taken whatever its suffix; of a folder, the files with a photo's suffix. Where
        there is no file of that name, a pattern (see `unrolled.jobs.patterns`) stands for the
        photos that fit it, and for those in the folders that do, each once.
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
            found += _meant_by(path, recursive)
        except ImageError as error:
            if on_error is None:
                raise
            on_error(error)
    return found


def _meant_by(path: str, recursive: bool) -> list[str]:
    if is_pattern(path) and not os.path.lexists(path):
        return _matching(path, recursive)
    return _in_folder(path, recursive) if _is_folder(path) else [path]


def _matching(pattern: str, recursive: bool) -> list[str]:
    photos: dict[str, None] = {}  # one may fit in two ways
    for path in match(pattern):
        if os.path.isdir(path):  # noqa: PTH112
            photos |= dict.fromkeys(_list_photos(path, recursive))
        elif is_photo(path):
            photos[path] = None
    if not photos:
        raise ImageError(
            f"{pattern}: there is no such file, and as a pattern it fits no photo; expected "
            f"{_SUFFIXES}, and upper and lower case count"
        )
    return list(photos)


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
    photos = _list_photos(folder, recursive)
    if not photos:
        hint = "" if recursive else ", or -r to look in the folders inside"
        raise ImageError(f"{folder}: no photos in this folder; expected {_SUFFIXES}{hint}")
    return photos


def _list_photos(folder: str, recursive: bool) -> list[str]:
    def fail(error: OSError) -> None:
        raise ImageError(f"{error.filename}: cannot be listed ({error.strerror})") from error

    photos: list[str] = []
    for parent, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(f for f in folders if recursive and not f.startswith("."))
        photos += [
            os.path.join(parent, name)  # noqa: PTH118
            for name in sorted(files)
            if is_photo(name) and not name.startswith(".")
        ]
    return photos
