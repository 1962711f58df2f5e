"""Write a feature store row by row, so that a kill loses a chunk at most."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from unrolled.data.feature_file import GRID, POOLED, WHOLE, array_name, dtype_of, make_header
from unrolled.data.partial import PartialRows
from unrolled.errors import FeatureStoreError, InputError, ShapeError

_MAX_CHUNK_BYTES = 32 << 20


class FeatureWriter:
    """Writes a `FeatureStore`, going on where an interrupted writer stopped.

    ::

        with FeatureWriter(path, names, encoder.identity, dim=1280) as writer:
            for name in writer.remaining:
                writer.add(name, features_of(name))

    At the end of the block the store is in its place, whole. An exception, or a kill, leaves the
    rows so far in a folder ``FILE.partial``, where the next writer of the same store finds them.

    Parameters
    ----------
    path : str or Path
        Where the store shall be, its folder made if it is not there; a store that is there already
        is replaced at the end, not before.
    names : sequence of str
        Photos that shall be in it; unique. Some may be passed over, as they cannot be read.
    encoder : mapping of str to str
        What makes the features: name, checksum of the weights, preprocessing.
    dim : int
        D, the width of the features.
    locations : int, optional
        L, the places of the grid; no grid when not given.
    views : sequence of str
        Views of each photo that the store shall have; unique, ``whole`` first.
    chunk : int
        Rows between two writes to the disk, fewer where rows are large: what a kill loses at most.

    Raises
    ------
    FeatureStoreError
        When no file can be at ``path``; when ``FILE.partial`` was begun with another encoder,
        other names or other widths, is no writer's, or is in use by another process.
    InputError
        For no names, names that are there twice, views without ``whole`` first, sizes below 1, or a
        path no file can have.
    """

    def __init__(
        self,
        path: str | Path,
        names: Sequence[str],
        encoder: Mapping[str, str],
        *,
        dim: int,
        locations: int | None = None,
        views: Sequence[str] = (WHOLE,),
        chunk: int = 256,
    ) -> None:
        if not names or len(set(names)) != len(names):
            raise InputError("FeatureWriter: names must be unique, and at least one")
        if min(dim, chunk, 1 if locations is None else locations) < 1:
            raise InputError("FeatureWriter: dim, locations and chunk must be at least 1")
        if tuple(views[:1]) != (WHOLE,) or len(set(views)) != len(views):
            raise InputError(f"FeatureWriter: views must be unique, {WHOLE} first, got {views}")
        self.path = _checked(Path(path))
        self._names = tuple(names)
        self._wanted = frozenset(names)
        self._encoder = dict(encoder)
        self._views = tuple(views)
        shape_of: dict[str, tuple[int, ...]] = {POOLED: (dim,)}
        if locations is not None:
            shape_of[GRID] = (locations, dim)
        self._kinds = tuple(shape_of)
        self._row_shapes = {
            array_name(kind, view): shape for view in views for kind, shape in shape_of.items()
        }
        row_bytes = sum(
            math.prod(shape) * dtype_of(array).itemsize for array, shape in self._row_shapes.items()
        )
        self._chunk = max(1, min(chunk, _MAX_CHUNK_BYTES // row_bytes))
        shapes = {array: list(shape) for array, shape in self._row_shapes.items()}
        plan = {"encoder": self._encoder, "shapes": shapes, "names": list(names)}
        partial = self.path.with_name(self.path.name + ".partial")
        self._rows = PartialRows(partial, plan, self._row_shapes)
        self._pending: dict[str, dict[str, np.ndarray]] = {}

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.close()

    @property
    def remaining(self) -> tuple[str, ...]:
        """Names that have no row yet, in the order they were given."""
        have = self._rows.written.keys() | self._pending.keys()
        return tuple(name for name in self._names if name not in have)

    def add(self, name: str, pooled: np.ndarray, grid: np.ndarray | None = None) -> None:
        """Add a photo's row.

        Parameters
        ----------
        name : str
            One of `remaining`.
        pooled : (D,), or (views, D) if the store has several
        grid : (L, D), or (views, L, D), if the store has a grid

        Raises
        ------
        InputError
            For a name that is not wanted or was added, and for features that are not finite
            (those of the grid as float16).
        ShapeError
            For another shape than announced.
        """
        if name not in self._wanted or name in self._rows.written or name in self._pending:
            why = "was added before" if name in self._wanted else "is none of the names to write"
            raise InputError(f"FeatureWriter.add: {name!r} {why}")
        given = {POOLED: pooled} | ({} if grid is None else {GRID: grid})
        if given.keys() != set(self._kinds):
            raise ShapeError(
                f"FeatureWriter.add: {name!r}: expected {' and '.join(self._kinds)}, "
                f"got {' and '.join(given)}"
            )
        row: dict[str, np.ndarray] = {}
        for kind, values in given.items():
            views = [values] if len(self._views) == 1 else values
            if len(views) != len(self._views):
                raise ShapeError(
                    f"FeatureWriter.add: {name!r}: {kind} must be of {len(self._views)} views, "
                    f"got {len(views)}"
                )
            for view, each in zip(self._views, views, strict=True):
                array = array_name(kind, view)
                row[array] = self._row(name, array, each)
        self._pending[name] = row
        if len(self._pending) >= self._chunk:
            self.flush()

    def _row(self, name: str, array: str, values: np.ndarray) -> np.ndarray:
        """One photo's numbers for an array, checked and as they will lie in the file."""
        with np.errstate(over="ignore"):  # what overflows float16 is found just below
            row = np.array(values, dtype=dtype_of(array))
        if row.shape != self._row_shapes[array]:
            raise ShapeError(
                f"FeatureWriter.add: {name!r}: {array} must be {self._row_shapes[array]}, "
                f"got {row.shape}"
            )
        if not np.isfinite(row).all():
            raise InputError(
                f"FeatureWriter.add: {name!r}: {array} has numbers that are not finite"
            )
        return row

    def flush(self) -> None:
        """Bring the rows that were added to the disk."""
        if self._pending:
            rows = list(self._pending.values())
            arrays = {array: np.stack([row[array] for row in rows]) for array in self._row_shapes}
            self._rows.append(list(self._pending), arrays)
            self._pending.clear()

    def close(self) -> None:
        """Stop here: the rows stay in ``FILE.partial`` for another writer to go on."""
        try:
            self.flush()
        finally:
            self._rows.close()

    def finish(self) -> None:
        """Make the store from the rows there are, put it in its place, drop ``FILE.partial``.

        Raises
        ------
        FeatureStoreError
            When there are no rows.
        """
        self.flush()
        names = list(self._rows.written)
        if not names:
            self.close()
            raise FeatureStoreError(f"{self.path}: not written, as no photo gave features")
        shapes = {array: (len(names), *shape) for array, shape in self._row_shapes.items()}
        header = make_header(names, self._encoder, shapes, self._rows.checksums)
        whole = self._rows.folder / "whole.safetensors"
        try:
            with whole.open("wb") as target:
                target.write(header)
                self._rows.copy_to(target)
                target.flush()
                os.fsync(target.fileno())
            os.replace(whole, self.path)  # noqa: PTH105 (its name says that it replaces)
        except OSError as error:
            raise FeatureStoreError(
                f"{self.path}: cannot be written ({error.strerror or error}); "
                f"the rows stay in {self._rows.folder}, run the same again to go on"
            ) from error
        finally:
            self._rows.close()
        _sync_folder(self.path.parent)
        shutil.rmtree(self._rows.folder)


def _checked(path: Path) -> Path:
    """Find out now, not after hours of encoding, whether a store can be put there."""
    if "\0" in str(path):
        raise InputError(f"FeatureWriter: no file can have the path {str(path)!r}")
    if path.is_dir():
        raise FeatureStoreError(
            f"{path}: a folder, where the store's file should be; add a name to it"
        )
    return path


def _sync_folder(folder: Path) -> None:
    """Make a renaming last through a power cut, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
