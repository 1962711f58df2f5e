"""Patterns of file names, for where no shell has matched them.

``*`` stands for any characters of a name, ``?`` for one, ``[ab]`` for one of these, and ``**``,
alone between slashes, for folders at any depth. As in a shell, a leading dot is matched only by a
dot, and case counts where it does for files. A link to a folder fits no pattern.
"""

# The standard library's glob passes silently over folders that cannot be listed, and its ** follows
# links, also in circles: with the one photos would be lost, with the other captioned again.

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch

from unrolled.errors import ImageError

_ANY_DEPTH = "**"
_MAGIC = re.compile(r"[*?[]")
_SEPARATOR = re.compile(r"([/\\]+)" if os.name == "nt" else "(/+)")


def is_pattern(path: str) -> bool:
    """Tell a pattern from a plain path.

    Parameters
    ----------
    path : str

    Returns
    -------
    bool
    """
    return _MAGIC.search(path) is not None


def match(pattern: str) -> Iterator[str]:
    """Find the files and folders that fit a pattern, by name, a folder's own before those inside.

    Parameters
    ----------
    pattern : str

    Yields
    ------
    str
        What the pattern has before its first special character stays to the letter.

    Raises
    ------
    ImageError
        If a folder cannot be listed.
    """
    pieces = _SEPARATOR.split(pattern)
    names, separators = pieces[::2], [*pieces[1::2], ""]
    if names[-1] == "" and len(names) > 1:  # a slash at the end
        del names[-1], separators[-2:]
        separators.append("")
    if names[-1] == _ANY_DEPTH:  # means all that is there
        names.append("*")
        separators[-1:] = [os.sep, ""]
    yield from _below("", list(zip(names, separators, strict=True)))


def _below(parent: str, parts: list[tuple[str, str]]) -> Iterator[str]:
    """Match what is left of a pattern to what lies in a folder."""
    if not parts:
        yield parent
        return
    (name, separator), *rest = parts
    if name == _ANY_DEPTH:
        yield from _below(parent, rest)
        for entry in _entries(parent):
            if _is_folder(entry) and not entry.name.startswith("."):
                yield from _below(parent + entry.name + separator, parts)
    elif is_pattern(name):
        for entry in _entries(parent):
            hidden = entry.name.startswith(".") and not name.startswith(".")
            if hidden or not fnmatch(entry.name, name):
                continue
            if _is_folder(entry) or (not rest and not _is_folder(entry, behind_links=True)):
                yield from _below(parent + entry.name + separator, rest)
    elif os.path.lexists(parent + name) or not name:
        yield from _below(parent + name + separator, rest)


def _is_folder(entry: os.DirEntry[str], behind_links: bool = False) -> bool:
    try:
        return entry.is_dir(follow_symlinks=behind_links)
    except OSError:  # a link to itself, or into a folder that is closed
        return False


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """List what is in a folder by name; what is no folder has nothing in it."""
    try:
        with os.scandir(folder or os.curdir) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{folder or os.curdir}: cannot be listed ({reason})") from error
