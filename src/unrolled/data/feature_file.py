"""How a feature store lies in its file: a safetensors header, then arrays.

https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from unrolled.errors import FeatureStoreError, InputError

FORMAT = "unrolled-features-1"

POOLED, GRID = "pooled", "grid"
KINDS = (POOLED, GRID)

WHOLE = "whole"
"""The view of a photo that captions are made from; every store has it."""

_DTYPES: dict[str, np.dtype[Any]] = {POOLED: np.dtype("<f4"), GRID: np.dtype("<f2")}
_CODES = {"<f4": "F32", "<f2": "F16"}
_MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit


def array_name(kind: str, view: str = WHOLE) -> str:
    """Name the array that holds a kind of features of a view: ``grid``, ``grid.flipped``."""
    return kind if view == WHOLE else f"{kind}.{view}"


def dtype_of(name: str) -> np.dtype[Any]:
    """How an array's numbers lie in the file."""
    return _DTYPES[name.partition(".")[0]]


def make_header(
    names: Iterable[str],
    encoder: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    checksums: Mapping[str, str],
) -> bytes:
    """Return the first bytes of a store; its arrays' bytes follow in the order of `shapes`.

    Written here as safetensors' own writer wants all arrays in memory. Equal arguments give equal
    bytes.
    """
    texts = {"names": json.dumps(list(names)), "encoder": json.dumps(dict(encoder))}
    checksums = {**{key: sha256_of(text.encode()) for key, text in texts.items()}, **checksums}
    header: dict[str, Any] = {
        "__metadata__": {
            "format": FORMAT,
            **texts,
            **{f"sha256.{key}": checksum for key, checksum in checksums.items()},
        }
    }
    offset = 0
    for name, shape in shapes.items():
        end = offset + int(np.prod(shape, dtype=np.int64)) * dtype_of(name).itemsize
        code = _CODES[dtype_of(name).str]
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)  # the format allows it; rows then start aligned
    if len(text) > _MAX_HEADER_BYTES:
        raise InputError(f"feature store: too many photos for one file, a header of {len(text)} B")
    return len(text).to_bytes(8, "little") + text


def read_metadata(path: Path) -> dict[str, str]:
    """Metadata of a safetensors file, once the library has found its header sound."""
    if not path.is_file():
        raise FeatureStoreError(f"{path}: no such feature store; make one with `unrolled features`")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise FeatureStoreError(
            f"{path}: damaged, or no feature store ({error}); compute the features again"
        ) from error
    if metadata.get("format") != FORMAT:
        got = metadata.get("format", "none")
        raise FeatureStoreError(f"{path}: expected format {FORMAT}, got {got}; is it a store?")
    return metadata


def map_arrays(path: Path) -> dict[str, np.ndarray]:
    """Map the arrays of a file whose header is known to be sound."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    arrays = {}
    for name, entry in header.items():
        if name.partition(".")[0] not in KINDS:
            continue
        dtype = dtype_of(name)
        if entry["dtype"] != _CODES[dtype.str] or 0 in entry["shape"]:
            raise FeatureStoreError(
                f"{path}: {name} must be {_CODES[dtype.str]} and not empty, "
                f"got {entry['dtype']} of shape {entry['shape']}"
            )
        offset = 8 + length + entry["data_offsets"][0]
        mapped = np.memmap(path, dtype, mode="r", offset=offset, shape=tuple(entry["shape"]))
        arrays[name] = np.asarray(mapped)  # a plain array: a memmap stays one when sliced
    return arrays


def read_json(metadata: Mapping[str, str], key: str, path: Path) -> Any:
    """Parse a text of the metadata, held to its checksum."""
    try:
        text = metadata[key]
        if sha256_of(text.encode()) == metadata[f"sha256.{key}"]:
            return json.loads(text)
    except (KeyError, ValueError, RecursionError) as error:
        raise FeatureStoreError(f"{path}: no readable {key!r} in its header") from error
    raise FeatureStoreError(f"{path}: its {key} are damaged; compute the features again")


def sha256_of(data: bytes | memoryview) -> str:
    """Digest bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
