"""What a study found, as a file of numbers: JSON to read anywhere, NPZ for NumPy."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.errors import DataError, InputError
from unrolled.layers.arrays import Array

SUFFIXES = (".json", ".npz")


def to_plain(found: Any) -> Any:
    """Turn records of arrays into what JSON can hold.

    Parameters
    ----------
    found : NamedTuple, array, number, text, or a sequence of these
        A number that is not finite, which JSON cannot hold, becomes None.

    Returns
    -------
    dict, list, number, text or None
    """
    if isinstance(found, (np.ndarray, np.generic)):
        return to_plain(found.tolist())
    if hasattr(found, "_asdict"):
        return {name: to_plain(value) for name, value in _fields(found)}
    if isinstance(found, Mapping):
        return {name: to_plain(value) for name, value in found.items()}
    if isinstance(found, (list, tuple)):
        return [to_plain(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def to_arrays(found: Any, prefix: str = "") -> dict[str, Array]:
    """Name every array in records: ``gates``, or of several records ``0.h``, ``1.h``.

    Parameters
    ----------
    found : NamedTuple, or a sequence of these
    prefix : str

    Returns
    -------
    dict of str to array
        Texts are arrays of characters; what is None is left out.
    """
    return dict(_arrays(found, prefix))


def _arrays(found: Any, prefix: str) -> Iterator[tuple[str, Array]]:
    if hasattr(found, "_asdict"):
        for name, value in _fields(found):
            yield from _arrays(value, f"{prefix}.{name}" if prefix else name)
    elif isinstance(found, list):
        for place, value in enumerate(found):
            yield from _arrays(value, f"{prefix}.{place}" if prefix else str(place))
    elif found is not None:
        yield prefix, np.asarray(found)


def _fields(record: Any) -> Iterator[tuple[str, Any]]:
    """Give what a record holds, and what it says of it: its properties."""
    of = type(record)
    names = (name for name, value in vars(of).items() if isinstance(value, property))
    return ((name, getattr(record, name)) for name in (*of._fields, *names))


def write_numbers(found: Any, path: Path) -> None:
    """Write what a study found into a .json or .npz file.

    Parameters
    ----------
    found : NamedTuple, or a list of these
    path : Path

    Raises
    ------
    InputError
        If the file is to be neither.
    DataError
        If it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: numbers are written as .json or .npz; choose one of them")
    if suffix == ".json":
        data = (json.dumps(to_plain(found), ensure_ascii=False, allow_nan=False) + "\n").encode()
    else:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **to_arrays(found))  # type: ignore[arg-type]
        data = buffer.getvalue()
    try:
        path.write_bytes(data)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error})") from None
