"""Features of many photos in one file, read without loading it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from unrolled.data.identity import check_identity
from unrolled.errors import FeatureStoreError, InputError

FORMAT = "unrolled-features-1"

POOLED, GRID = "pooled", "grid"
DTYPES: dict[str, np.dtype[Any]] = {POOLED: np.dtype("<f4"), GRID: np.dtype("<f2")}
"""Name of each array in a store and how its numbers lie in the file."""

_CODES = {"<f4": "F32", "<f2": "F16"}
_MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit


class FeatureStore:
    """Features of M photos: a safetensors file, memory-mapped.

    Its header holds, besides the arrays' shapes, the metadata ``format``, ``names`` (a JSON list),
    ``encoder`` (a JSON object), and checksums: ``sha256.pooled`` and ``sha256.grid`` of the
    arrays' bytes, ``sha256.names`` and ``sha256.encoder`` of those texts.
    Made by `FeatureWriter`, opened with `FeatureStore.open`.

    Attributes
    ----------
    path : Path
    names : tuple of str
        Unique, M of them; a row's number is its name's place.
    encoder : dict of str to str
        What made the features: the encoder's name, its weights' checksum, its preprocessing.
    pooled : (M, D) float32
        Read-only; rows come from the file when they are asked for, in any thread.
    grid : (M, L, D) float16 or None
        The same at L places of each photo, where the store has them.
    """

    def __init__(
        self,
        path: Path,
        names: tuple[str, ...],
        encoder: dict[str, str],
        arrays: Mapping[str, np.ndarray],
        checksums: Mapping[str, str],
    ) -> None:
        self.path = path
        self.names = names
        self.encoder = encoder
        self.pooled = arrays[POOLED]
        self.grid = arrays.get(GRID)
        self._rows = {name: row for row, name in enumerate(names)}
        self._checksums = dict(checksums)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    @classmethod
    def open(cls, path: str | Path) -> FeatureStore:
        """Open a store; checks the header and the size, but not the arrays (`verify` does).

        Raises
        ------
        FeatureStoreError
            When the file is missing, cut short, damaged, or no feature store.
        """
        path = Path(path)
        metadata = _read_metadata(path)
        names = _names(metadata, path)
        encoder = _encoder(metadata, path)
        arrays = _map_arrays(path)
        if POOLED not in arrays:
            raise FeatureStoreError(f"{path}: has no array {POOLED!r}; is it a feature store?")
        for name, array in arrays.items():
            ndim = 2 if name == POOLED else 3
            if array.ndim != ndim or len(array) != len(names):
                raise FeatureStoreError(
                    f"{path}: {name} must have {ndim} axes and {len(names):,} rows, one for each "
                    f"name, got shape {array.shape}"
                )
        checksums = {name: metadata.get(f"sha256.{name}", "") for name in arrays}
        return cls(path, names, encoder, arrays, checksums)

    @property
    def dim(self) -> int:
        """D, the width of the features."""
        return int(self.pooled.shape[1])

    def index(self, name: str) -> int:
        """Row of a photo by its name.

        Parameters
        ----------
        name : str

        Returns
        -------
        int

        Raises
        ------
        FeatureStoreError
            When the store lacks it.
        """
        return int(self.rows([name])[0])

    def rows(self, names: Iterable[str]) -> np.ndarray:
        """Rows of photos by their names.

        Parameters
        ----------
        names : iterable of str

        Returns
        -------
        (n,) int64

        Raises
        ------
        FeatureStoreError
            When the store lacks some, saying how many and which first.
        """
        names = list(names)
        missing = [name for name in names if name not in self._rows]
        if missing:
            some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise FeatureStoreError(
                f"{self.path}: no features of {len(missing):,} of {len(names):,} photos ({some}); "
                "compute features for these photos again"
            )
        return np.array([self._rows[name] for name in names], dtype=np.int64)

    def check_encoder(self, expected: Mapping[str, str]) -> None:
        """Hold the store's encoder against the one that a model was trained with.

        Parameters
        ----------
        expected : mapping of str to str
            That encoder's identity.

        Raises
        ------
        FeatureStoreError
            Naming every key that differs, what was expected, and what the store has.
        """
        check_identity(
            expected,
            self.encoder,
            where=str(self.path),
            remedy="Compute the features again with the wanted encoder, or use the store with a "
            "model that was trained on its encoder's features.",
            error=FeatureStoreError,
        )

    def verify(self) -> None:
        """Read every byte and hold it against the checksums; find numbers that are not finite.

        Raises
        ------
        FeatureStoreError
            When an array's bytes are not what was written, no checksum was, or numbers are not
            finite, which `FeatureWriter` writes none of.
        """
        arrays = {POOLED: self.pooled} | ({GRID: self.grid} if self.grid is not None else {})
        for name, array in arrays.items():
            got = _sha256(array.data)
            if got != self._checksums[name]:
                raise FeatureStoreError(
                    f"{self.path}: the file is damaged: SHA-256 of {name}: expected "
                    f"{self._checksums[name] or 'nothing'}, got {got}; copy it again from where "
                    "it came, or compute the features again"
                )
            if not all(np.isfinite(row).all() for row in array):
                raise FeatureStoreError(
                    f"{self.path}: {name} has numbers that are not finite; "
                    "compute the features again with `unrolled features`"
                )


def make_header(
    names: Iterable[str],
    encoder: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    checksums: Mapping[str, str],
) -> bytes:
    """Return the first bytes of a store; its arrays' bytes follow in the order of `shapes`.

    Written here as safetensors' own writer wants all arrays in memory. Equal arguments give equal
    bytes. https://github.com/huggingface/safetensors#format
    """
    texts = {"names": json.dumps(list(names)), "encoder": json.dumps(dict(encoder))}
    checksums = {**{key: _sha256(text.encode()) for key, text in texts.items()}, **checksums}
    header: dict[str, Any] = {
        "__metadata__": {
            "format": FORMAT,
            **texts,
            **{f"sha256.{key}": checksum for key, checksum in checksums.items()},
        }
    }
    offset = 0
    for name, shape in shapes.items():
        end = offset + int(np.prod(shape, dtype=np.int64)) * DTYPES[name].itemsize
        code = _CODES[DTYPES[name].str]
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)  # the format allows it; rows then start aligned
    if len(text) > _MAX_HEADER_BYTES:
        raise InputError(f"feature store: too many photos for one file, a header of {len(text)} B")
    return len(text).to_bytes(8, "little") + text


def _read_metadata(path: Path) -> dict[str, str]:
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


def _map_arrays(path: Path) -> dict[str, np.ndarray]:
    """Map the arrays of a file whose header is known to be sound."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    arrays = {}
    for name, dtype in DTYPES.items():
        entry = header.get(name)
        if entry is None:
            continue
        if entry["dtype"] != _CODES[dtype.str] or 0 in entry["shape"]:
            raise FeatureStoreError(
                f"{path}: {name} must be {_CODES[dtype.str]} and not empty, "
                f"got {entry['dtype']} of shape {entry['shape']}"
            )
        offset = 8 + length + entry["data_offsets"][0]
        mapped = np.memmap(path, dtype, mode="r", offset=offset, shape=tuple(entry["shape"]))
        arrays[name] = np.asarray(mapped)  # a plain array: a memmap stays one when sliced
    return arrays


def _names(metadata: Mapping[str, str], path: Path) -> tuple[str, ...]:
    names = _json(metadata, "names", path)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FeatureStoreError(f"{path}: its names are no list of texts; is it whole?")
    if len(set(names)) != len(names):
        raise FeatureStoreError(f"{path}: some names are there twice; compute the features again")
    return tuple(names)


def _encoder(metadata: Mapping[str, str], path: Path) -> dict[str, str]:
    encoder = _json(metadata, "encoder", path)
    texts = isinstance(encoder, dict) and all(isinstance(item, str) for item in encoder.values())
    if not texts:
        raise FeatureStoreError(f"{path}: its encoder is no object of texts; is it whole?")
    return dict(encoder)


def _json(metadata: Mapping[str, str], key: str, path: Path) -> Any:
    try:
        text = metadata[key]
        if _sha256(text.encode()) == metadata[f"sha256.{key}"]:
            return json.loads(text)
    except (KeyError, ValueError, RecursionError) as error:
        raise FeatureStoreError(f"{path}: no readable {key!r} in its header") from error
    raise FeatureStoreError(f"{path}: its {key} are damaged; compute the features again")


def _sha256(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()
