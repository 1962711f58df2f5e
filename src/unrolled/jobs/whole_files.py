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

from unrolled.errors import DataError


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
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DataError(f"{path}: not an ordinary file")
            data = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{path}: cannot be read ({reason})") from error
    if len(data) > most:
        raise DataError(f"{path}: longer than the {most:,} bytes that are read")
    return data


def replace_file(path: str | Path, data: bytes, *, keep_times: bool = False) -> None:
    """Put a file with this content in the place of the one at a path, or there anew.

    The file that is replaced leaves its mode, its extended attributes and, where this process may
    give it away, its owner to the new one. A link stays, and what it leads to is replaced. A kill
    leaves at most an unfinished file of hidden name beside it.

    Parameters
    ----------
    path : path
    data : bytes
    keep_times : bool
        Whether the new file also takes over when the old one was last changed.

    Raises
    ------
    OSError
        If the disk does not take it, or the file may not be written to; what was there stays.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    # Of a name that no other process takes, should two write to one place; of one that fits.
    unfinished = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.unfinished")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(unfinished, flags, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            _look_like(path, unfinished, keep_times)
        os.replace(unfinished, path)  # noqa: PTH105 - its name says that it replaces
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def _look_like(old: Path, new: Path, keep_times: bool) -> None:
    """Give a new file what the system says of the old one, but for when it was changed."""
    was, now = old.stat(), new.stat()
    if hasattr(os, "chown") and (was.st_uid, was.st_gid) != (now.st_uid, now.st_gid):
        with contextlib.suppress(OSError):
            os.chown(new, was.st_uid, was.st_gid)
    with contextlib.suppress(PermissionError):  # some mounts give every file the same
        shutil.copystat(old, new)
    if not keep_times:
        os.utime(new, ns=(now.st_atime_ns, now.st_mtime_ns))


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to does not hang."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
