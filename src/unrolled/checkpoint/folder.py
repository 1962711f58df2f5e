"""Replace a folder as a whole, so that a crash at any instant leaves a complete one.

File systems swap files atomically, but folders only by two renames. The order of work is::

    1  write the files to .NAME.saving, beside NAME, and flush them to the disk
    2  rename NAME to .NAME.replaced
    3  rename .NAME.saving to NAME
    4  delete .NAME.replaced

Until 2, NAME is the old folder and whole. Between 2 and 3 there is no NAME, but both siblings are
complete. From 3 on, NAME is the new folder and whole. So a reader takes NAME if it exists, and else
the first complete one of ``.NAME.saving`` and ``.NAME.replaced`` (`places`); the next writer
first finishes what a crash left behind (`replace_folder`).

One process writes a folder at a time; any number may read it meanwhile.
"""

# The order of system calls is what this file is about, so they stand here by their own names.
# ruff: noqa: PTH102, PTH104

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path


def places(path: Path) -> list[Path]:
    """List where the folder may be found, in the order to look.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Path
        The folder itself if it exists; else what a crash between two renames left.
    """
    path = Path(os.path.realpath(path))
    if os.path.lexists(path):
        return [path]
    return [place for place in _siblings(path) if place.is_dir()]


def replace_folder(
    path: Path,
    files: Mapping[str, bytes],
    *,
    ours: Collection[str],
    is_complete: Callable[[Path], bool],
) -> None:
    """Put a folder with these files in the place of the one at ``path``, if there is one.

    Parameters
    ----------
    path : Path
        If it exists, a folder of the same kind, or an empty one.
    files : mapping of str to bytes
        Every file of the new folder.
    ours : collection of str
        Every name that such a folder can have. What else lies in the old folder, somebody put
        there: it is moved to the new one.
    is_complete : callable
        Whether a folder that a crash left behind is whole.

    Raises
    ------
    OSError
        If the disk is full, or a folder cannot be written. ``places`` still finds the old folder.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    saving, replaced = _siblings(path)
    _finish_after_crash(path, ours, is_complete)
    os.mkdir(saving)
    try:
        for name, data in files.items():
            _write_file(saving / name, data)
    except OSError:
        shutil.rmtree(saving, ignore_errors=True)
        raise
    _flush_folder(saving)
    if path.exists():
        os.rename(path, replaced)
    os.rename(saving, path)
    _flush_folder(path.parent)
    _discard(replaced, path, ours)


def _siblings(path: Path) -> tuple[Path, Path]:
    """Name the folder being written, and the folder being replaced."""
    return path.with_name(f".{path.name}.saving"), path.with_name(f".{path.name}.replaced")


def _finish_after_crash(
    path: Path, ours: Collection[str], is_complete: Callable[[Path], bool]
) -> None:
    """Leave a whole folder at ``path``, if there is one anywhere, and no siblings."""
    saving, replaced = _siblings(path)
    if not path.exists():
        for leftover in (saving, replaced):
            if leftover.is_dir() and is_complete(leftover):
                os.rename(leftover, path)
                _flush_folder(path.parent)
                break
    _discard(replaced, path, ours)
    if saving.exists():
        shutil.rmtree(saving)


def _discard(replaced: Path, path: Path, ours: Collection[str]) -> None:
    """Delete the replaced folder, but for what a person put there: that moves to the new one."""
    if not replaced.exists():
        return
    if path.exists():
        for entry in sorted(replaced.iterdir()):
            if entry.name not in ours and not os.path.lexists(path / entry.name):
                os.rename(entry, path / entry.name)
    shutil.rmtree(replaced)


def _write_file(path: Path, data: bytes) -> None:
    """Write a new file and flush it to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(path: Path) -> None:
    """Flush a folder's names to the disk, where the platform can."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
