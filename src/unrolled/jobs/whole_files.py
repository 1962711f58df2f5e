"""Files of the user's, read whole and replaced whole.

Whoever looks at one that is replaced, at any instant, finds the old one or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import NamedTuple

from unrolled.errors import DataError


class FileState(NamedTuple):
    """What tells that a file was written to, or that another is in its place.

    Attributes
    ----------
    inode, size, mtime_ns : int
        As `os.stat_result` has them.
    """

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        """Take it from what the system says of a file.

        Parameters
        ----------
        status : os.stat_result

        Returns
        -------
        FileState
        """
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


def read_file(path: str | Path, most: int) -> bytes:
    """Read an ordinary file of bounded size.

    Parameters
    ----------
    path : path
    most : int
        Bytes.

    Returns
    -------
    bytes

    Raises
    ------
    DataError
        If it cannot be read, is no file, or is longer.
    """
    return read_with_state(path, most)[0]


def read_with_state(path: str | Path, most: int) -> tuple[bytes, FileState]:
    """Read an ordinary file of bounded size, to be replaced by `replace_file`.

    Parameters
    ----------
    path : path
    most : int
        Bytes.

    Returns
    -------
    data : bytes
    state : FileState
        From before the first byte was read.

    Raises
    ------
    DataError
        If it cannot be read, is no file, or is longer.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DataError(f"{path}: not an ordinary file")
            data = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path}: cannot be read ({reason})") from error
    if len(data) > most:
        raise DataError(f"{path}: longer than the {most:,} bytes that are read")
    return data, FileState.of(status)


def replace_file(
    path: str | Path, data: bytes, *, keep_times: bool = False, read: FileState | None = None
) -> None:
    """Put a file with this content in the place of the one at a path, or there anew.

    The file that is replaced leaves its mode, its extended attributes and, where this process may
    give it away, its owner to the new one; until then nobody else may look into that. A link stays,
    and what it leads to is replaced; another name of the same file (a hard link) keeps the old one.
    A kill leaves at most an unfinished file of hidden name beside it.

    Parameters
    ----------
    path : path
    data : bytes
    keep_times : bool
        Whether the new file also takes over when the old one was last changed.
    read : FileState, optional
        The state in which the old file was read; in another, it is not replaced.

    Raises
    ------
    DataError
        If the file is another than was read; that stays.
    OSError
        If the disk does not take it, or the file may not be written to; what was there stays.
    """
    given, path = path, Path(os.path.realpath(path))
    old = _status(path)
    if old is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    # Of a name that no other process takes, should two write to one place; of one that fits.
    unfinished = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.unfinished")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        mode = 0o666 if old is None else 0o600  # who may read the old one is known at the end
        with os.fdopen(os.open(unfinished, flags, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if old is not None:
            _look_like(path, old, unfinished, keep_times)
        if read is not None and ((now := _status(path)) is None or FileState.of(now) != read):
            raise DataError(f"{given}: changed since it was read; nothing was written to it")
        os.replace(unfinished, path)  # noqa: PTH105 - its name says that it replaces
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _look_like(old: Path, was: os.stat_result, new: Path, keep_times: bool) -> None:
    """Give a new file what the system says of the old one, but for when it was changed."""
    now = new.stat()
    if hasattr(os, "chown") and (was.st_uid, was.st_gid) != (now.st_uid, now.st_gid):
        with contextlib.suppress(OSError):
            os.chown(new, was.st_uid, was.st_gid)
    with contextlib.suppress(PermissionError):  # some mounts give every file the same
        new.chmod(stat.S_IMODE(was.st_mode))
    with contextlib.suppress(PermissionError, FileNotFoundError):  # the old one may have gone
        shutil.copystat(old, new)
    if not keep_times:
        os.utime(new, ns=(now.st_atime_ns, now.st_mtime_ns))


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to does not hang."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
