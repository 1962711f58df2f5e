"""Keep bytes that take a while to make, where the platform keeps caches.

An entry's file name ends in the digest of its content, so a damaged file is told from a whole
one, and two programs that write at once cannot spoil each other's work. Nothing here can fail:
what cannot be read is made again, what cannot be written is used all the same.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs

__all__ = ["cached", "default_folder"]

_MAX_BYTES = 256 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


def default_folder() -> Path:
    """Return the folder that the platform gives this program for caches."""
    return platformdirs.user_cache_path("unrolled", appauthor=False)


def _entries(folder: Path, key: str, suffix: str) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.startswith(f"{key}-")
        and path.suffix == suffix
        and _DIGEST.fullmatch(path.stem.removeprefix(f"{key}-"))
    )


def _load(folder: Path, key: str, suffix: str) -> bytes | None:
    try:
        for path in _entries(folder, key, suffix):
            if path.is_file() and path.stat().st_size <= _MAX_BYTES:
                data = path.read_bytes()
                if path.stem.endswith(hashlib.sha256(data).hexdigest()):
                    return data
    except OSError:
        return None
    return None


def _store(folder: Path, key: str, suffix: str, data: bytes) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{key}-", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            digest = hashlib.sha256(data).hexdigest()
            Path(temporary).replace(folder / f"{key}-{digest}{suffix}")
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError:
        return


def cached(
    key: str, make: Callable[[], bytes], *, suffix: str, folder: Path | None = None
) -> bytes:
    """Return what ``make`` returns, from the cache where it is there and whole.

    Parameters
    ----------
    key : str
        What the bytes depend on: letters, digits, dots and dashes.
    make : callable
        Makes the bytes; called only when the cache does not have them.
    suffix : str
        The file's ending, with its dot.
    folder : Path, optional
        Where the cache is; by default, where the platform keeps caches.
    """
    folder = default_folder() if folder is None else folder
    data = _load(folder, key, suffix)
    if data is None:
        data = make()
        _store(folder, key, suffix, data)
    return data
