"""Features of many photos in one file, read without loading it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from unrolled.data.feature_file import (
    GRID,
    KINDS,
    POOLED,
    WHOLE,
    array_name,
    map_arrays,
    read_json,
    read_metadata,
    sha256_of,
)
from unrolled.data.identity import check_identity
from unrolled.data.rows import all_finite
from unrolled.errors import FeatureStoreError


class FeatureStore:
    """Features of M photos: a safetensors file, memory-mapped.

    Its header holds, besides the arrays' shapes, the metadata ``format``, ``names`` (a JSON list),
    ``encoder`` (a JSON object), and checksums: ``sha256.pooled``, ``sha256.grid`` and so on of the
    arrays' bytes, ``sha256.names`` and ``sha256.encoder`` of those texts. Other views of the photos
    are arrays of the same shapes, ``pooled.flipped``, ``grid.flipped``.
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
    views : tuple of str
        Views of each photo that it has, ``whole`` first.
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
        self.views = (WHOLE, *(n.partition(".")[2] for n in arrays if n.startswith(f"{POOLED}.")))
        self._arrays = dict(arrays)
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
        metadata = read_metadata(path)
        names = _names(metadata, path)
        encoder = _encoder(metadata, path)
        arrays = map_arrays(path)
        if POOLED not in arrays:
            raise FeatureStoreError(f"{path}: has no array {POOLED!r}; is it a feature store?")
        for name, array in arrays.items():
            kind = name.partition(".")[0]
            ndim = 2 if kind == POOLED else 3
            if array.ndim != ndim or len(array) != len(names):
                raise FeatureStoreError(
                    f"{path}: {name} must have {ndim} axes and {len(names):,} rows, one for each "
                    f"name, got shape {array.shape}"
                )
            if kind not in arrays or array.shape != arrays[kind].shape:
                raise FeatureStoreError(f"{path}: {name} has not the shape of {kind}; is it whole?")
        checksums = {name: metadata.get(f"sha256.{name}", "") for name in arrays}
        return cls(path, names, encoder, arrays, checksums)

    @property
    def dim(self) -> int:
        """D, the width of the features."""
        return int(self.pooled.shape[1])

    def array(self, kind: str, view: str = WHOLE) -> np.ndarray:
        """Features of a view of every photo.

        Parameters
        ----------
        kind : str
            ``"pooled"`` or ``"grid"``.
        view : str

        Returns
        -------
        (M, D) float32, or (M, L, D) float16
            Read-only; rows come from the file when they are asked for.

        Raises
        ------
        FeatureStoreError
            When the store has none.
        """
        name = array_name(kind, view)
        if name not in self._arrays:
            raise FeatureStoreError(
                f"{self.path}: has no array {name!r}, only {', '.join(self._arrays)}; compute the "
                "features again with `unrolled features`, with what is missing (--grid, --flip, "
                "--crops)"
            )
        return self._arrays[name]

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

    def verify(self, kinds: Iterable[str] = KINDS, views: Iterable[str] | None = None) -> None:
        """Read every byte and hold it against the checksums; find numbers that are not finite.

        Parameters
        ----------
        kinds : iterable of str
            ``"pooled"``, ``"grid"`` or both: what to read.
        views : iterable of str, optional
            Of which views; of all unless given.

        Raises
        ------
        FeatureStoreError
            When an array's bytes are not what was written, no checksum was, or numbers are not
            finite, which `FeatureWriter` writes none of.
        """
        views = self.views if views is None else tuple(views)
        wanted = {array_name(kind, view) for kind in kinds for view in views}
        for name in (name for name in self._arrays if name in wanted):
            array = self._arrays[name]
            got = sha256_of(array.data)
            if got != self._checksums[name]:
                raise FeatureStoreError(
                    f"{self.path}: the file is damaged: SHA-256 of {name}: expected "
                    f"{self._checksums[name] or 'nothing'}, got {got}; copy it again from where "
                    "it came, or compute the features again"
                )
            if not all(all_finite(row) for row in array):
                raise FeatureStoreError(
                    f"{self.path}: {name} has numbers that are not finite; "
                    "compute the features again with `unrolled features`"
                )


def _names(metadata: Mapping[str, str], path: Path) -> tuple[str, ...]:
    names = read_json(metadata, "names", path)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FeatureStoreError(f"{path}: its names are no list of texts; is it whole?")
    if len(set(names)) != len(names):
        raise FeatureStoreError(f"{path}: some names are there twice; compute the features again")
    return tuple(names)


def _encoder(metadata: Mapping[str, str], path: Path) -> dict[str, str]:
    encoder = read_json(metadata, "encoder", path)
    texts = isinstance(encoder, dict) and all(isinstance(item, str) for item in encoder.values())
    if not texts:
        raise FeatureStoreError(f"{path}: its encoder is no object of texts; is it whole?")
    return dict(encoder)
