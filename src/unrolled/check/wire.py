"""What passes between the checker and the student's process: JSON and plain arrays, no pickle."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

MOST_BYTES = 64 << 20
KINDS = "biuf"
MOST_DEPTH = 30


def write(path: Path, value: Any) -> None:
    """Write what JSON holds, and arrays in it, to two files of one stem.

    Parameters
    ----------
    path : Path
        Without a suffix.
    value : nested dict, list, str, number, None, array
    """
    arrays: dict[str, Any] = {}
    text = json.dumps(_packed(value, arrays))
    np.savez(path.with_suffix(".npz"), **arrays)
    path.with_suffix(".json").write_text(text, encoding="utf-8")


def read(path: Path) -> Any:
    """Read what `write` wrote; the other side is not trusted.

    Parameters
    ----------
    path : Path
        Without a suffix.

    Returns
    -------
    As given to `write`.

    Raises
    ------
    ValueError
        If the files are too large, or are not what `write` writes.
    OSError
        If they are not there.
    """
    text, archive = path.with_suffix(".json"), path.with_suffix(".npz")
    if text.is_symlink() or archive.is_symlink():
        raise ValueError("a link where an answer should be")
    if text.stat().st_size > MOST_BYTES or archive.stat().st_size > MOST_BYTES:
        raise ValueError("an answer too large to be one")
    try:
        with zipfile.ZipFile(archive) as members:
            if any(m.compress_type or m.file_size > MOST_BYTES for m in members.infolist()):
                raise ValueError("an archive that would grow when read")
        with np.load(archive, allow_pickle=False) as arrays:
            return _unpacked(json.loads(text.read_bytes()), arrays, MOST_DEPTH)
    except OSError:
        raise
    except Exception as error:  # parsers' errors have no common base
        raise ValueError(f"an answer that cannot be read ({error})") from error


def _packed(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, np.ndarray):
        key = f"a{len(arrays)}"
        arrays[key] = value
        return {"$": key}
    if isinstance(value, dict):
        return {str(k): _packed(v, arrays) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_packed(v, arrays) for v in value]
    return value


def _unpacked(value: Any, arrays: Any, depth: int) -> Any:
    if depth == 0:
        raise ValueError("an answer too deep to be one")
    if isinstance(value, dict):
        if value.keys() == {"$"}:
            array = arrays[value["$"]]
            if array.dtype.kind not in KINDS:
                raise ValueError("an array of no numbers")
            return array
        return {k: _unpacked(v, arrays, depth - 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_unpacked(v, arrays, depth - 1) for v in value]
    return value
