"""One training at a time in a run's folder: a locked file, which says whose it is.

The lock is the operating system's, on ``RUN/.lock``, and ends with the process that holds it,
however that ends: what a kill leaves of the file locks nobody out. The number in it is for people.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from unrolled.errors import InputError

_FAR = 1 << 30
"""The byte that Windows locks: what is locked there cannot be read."""


@contextlib.contextmanager
def run_lock(out: Path) -> Iterator[None]:
    """Keep other trainings out of a run's folder meanwhile.

    A file system that knows no locks keeps nobody out.

    Parameters
    ----------
    out : Path
        The folder, which is there.

    Yields
    ------
    None

    Raises
    ------
    InputError
        If another training has it, or nothing can be written there.
    """
    path = out / ".lock"
    try:
        descriptor = _open(path)
    except OSError as error:
        raise InputError(f"{out}: cannot be written to ({error.strerror})") from error
    try:
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        with contextlib.suppress(OSError):  # before it is closed: then it may be another's
            path.unlink()
        os.close(descriptor)


def _open(path: Path) -> int:
    """Open and lock the file, empty; one that its holder has deleted meanwhile is made anew."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not lock(descriptor):
                raise InputError(
                    f"{path.parent}: another training ({_holder(path)}) is writing there; wait "
                    "until it has ended or stop it, or name another folder"
                )
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    os.ftruncate(descriptor, 0)
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def lock(descriptor: int) -> bool:
    """Lock an open file for as long as it is open in this process.

    Parameters
    ----------
    descriptor : int

    Returns
    -------
    bool
        False if another process has it locked.
    """
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some file systems over a network
        return True
    return True


def _holder(path: Path) -> str:
    try:
        return f"process {int(path.read_text(encoding='ascii'))}"
    except (OSError, ValueError):
        return "of another process"
