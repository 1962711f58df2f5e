"""Read a checkpoint's files: bounded, ordinary, inside their folder, and what was written."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from unrolled.errors import CheckpointError

SUMS = "SHA256SUMS"
LIMITS = {
    "model.safetensors": 4 << 30,
    "config.json": 1 << 20,
    "vocab.json": 64 << 20,
    "optimizer.safetensors": 16 << 30,
    "state.json": 1 << 20,
    SUMS: 4 << 10,
}
"""Every file that a checkpoint can have, and how many bytes it can have."""

ALWAYS = ("model.safetensors", "config.json", "vocab.json")
TO_RESUME = ("optimizer.safetensors", "state.json")

_LINE = re.compile(r"([0-9a-f]{64})  ([a-z.]+)")
_REMEDY = "Copy the checkpoint again from where it came, or use another one"


def format_sums(files: Mapping[str, bytes]) -> bytes:
    """Write what ``sha256sum`` prints for these files.

    Parameters
    ----------
    files : mapping of str to bytes

    Returns
    -------
    bytes
        One line per file: 64 hexadecimal digits, two spaces, the name.
    """
    lines = [f"{_digest(files[name])}  {name}\n" for name in sorted(files)]
    return "".join(lines).encode("ascii")


def read_folder(folder: Path) -> dict[str, bytes]:
    """Read every file of a checkpoint, each held to its checksum.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict of str to bytes
        Without the checksums themselves.

    Raises
    ------
    CheckpointError
        If a file is missing, damaged, too large, or no ordinary file in this folder.
    """
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no checkpoint: a folder was expected, and there is none")
    sums = _parse_sums(folder / SUMS, _read_file(folder / SUMS))
    files = {}
    for name, expected in sums.items():
        files[name] = _read_file(folder / name)
        found = _digest(files[name])
        if found != expected:
            raise CheckpointError(
                f"{folder / name}: damaged: {SUMS} expects SHA-256 {expected[:16]}…, the file's "
                f"{len(files[name]):,} bytes have {found[:16]}…. {_REMEDY}"
            )
    for name in LIMITS:
        if name not in sums and name != SUMS and os.path.lexists(folder / name):
            raise CheckpointError(
                f"{folder / name}: {SUMS} does not list this file, so it belongs to another "
                f"checkpoint. Remove it. {_REMEDY}"
            )
    return files


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _parse_sums(path: Path, data: bytes) -> dict[str, str]:
    """Read name to digest, in the order of the lines."""
    try:
        *lines, rest = data.decode("ascii").split("\n")
    except UnicodeDecodeError:
        lines, rest = [], ""
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] not in LIMITS or match[2] == SUMS or match[2] in found:
            raise CheckpointError(
                f"{path}: damaged in line {number}: expected 64 hexadecimal digits, two spaces "
                f"and the name of a checkpoint's file, got {line[:80]!r}. {_REMEDY}"
            )
        found[match[2]] = match[1]
    wanted = [*ALWAYS, *TO_RESUME] if set(TO_RESUME) & set(found) else ALWAYS
    missing = [name for name in wanted if name not in found]
    if rest or missing:
        raise CheckpointError(
            f"{path}: damaged: expected a line ending in a newline for each of "
            f"{', '.join(wanted)}, got {len(lines)} lines without "
            f"{', '.join(missing) or 'the last newline'}. {_REMEDY}"
        )
    return found


def _read_file(path: Path) -> bytes:
    """Read a file whole, refusing anything that is not an ordinary file of bounded size."""
    limit = LIMITS[path.name]
    try:
        if path.is_symlink():
            raise CheckpointError(
                f"{path}: a symbolic link; a checkpoint's files are ordinary files that lie in "
                "its folder. Put a copy of the file there"
            )
        with open(path, "rb", opener=_open_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise CheckpointError(f"{path}: not an ordinary file. {_REMEDY}")
            if found.st_size > limit:
                raise CheckpointError(
                    f"{path}: {found.st_size:,} bytes, where at most {limit:,} are read. {_REMEDY}"
                )
            return file.read(found.st_size)
    except FileNotFoundError:
        raise CheckpointError(
            f"{path}: missing; a checkpoint has {', '.join(ALWAYS)} and {SUMS}. {_REMEDY}"
        ) from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to does not hang, a link is not followed."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
