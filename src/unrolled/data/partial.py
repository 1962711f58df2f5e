"""Rows of features on their way to a store, kept so that a kill loses a chunk at most.

They lie in a folder::

    plan.json      what is being written: a restart must ask for the same
    pooled.bin     rows as they will lie in the store, appended a chunk at a time
    grid.bin       the same for the grid, if there is one
    journal.jsonl  a line for each chunk whose rows are on the disk: their names and checksums

A chunk's rows are on the disk before its line is; what stands behind the journal's last whole line
was cut off, and is dropped at a restart.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from unrolled.data.feature_file import dtype_of
from unrolled.errors import FeatureStoreError


class PartialRows:
    """Rows of one or more arrays, appended by name; goes on where another one stopped.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    plan : mapping
        What is being written, as JSON; its ``names`` are all that rows may have.
    row_shapes : mapping of str to tuple of int
        Shape of a row of each array.

    Attributes
    ----------
    written : dict of str to None
        Names of the rows on the disk, in order.

    Raises
    ------
    FeatureStoreError
        When the folder was begun with another plan, is none of ours, or is in use.
    """

    def __init__(
        self, folder: Path, plan: Mapping[str, Any], row_shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        self.folder = folder
        self.written: dict[str, None] = {}
        self._names = frozenset(plan["names"])
        self._row_shapes = dict(row_shapes)
        self._hashes = {array: hashlib.sha256() for array in row_shapes}
        self._journal_end = 0
        self._ends = dict.fromkeys(row_shapes, 0)
        with ExitStack() as stack:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._journal = _open(folder / "journal.jsonl", stack)
                _lock(self._journal, folder)
                _check_plan(folder / "plan.json", plan)
                self._data = {name: _open(folder / f"{name}.bin", stack) for name in row_shapes}
                self._recover()
            except OSError as error:
                raise _unwritable(folder, error) from error
            self._files = stack.pop_all()

    @property
    def checksums(self) -> dict[str, str]:
        """SHA-256 of each array's bytes so far, in hexadecimal."""
        return {array: digest.hexdigest() for array, digest in self._hashes.items()}

    def append(self, names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> None:
        """Bring a chunk of rows to the disk; it is safe there when this returns.

        A call that fails (no room, Ctrl-C) leaves everything as it was, and may be made again.

        Raises
        ------
        FeatureStoreError
            When the disk does not take it.
        """
        checksums, ends, hashes = {}, {}, {}
        try:
            for array, rows in arrays.items():
                data = rows.tobytes()
                checksums[array] = zlib.crc32(data)
                hashes[array] = self._hashes[array].copy()
                hashes[array].update(data)
                ends[array] = _write(self._data[array], self._ends[array], data)
            line = json.dumps({"names": list(names), "crc32": checksums}) + "\n"
            journal_end = _write(self._journal, self._journal_end, line.encode())
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        self._journal_end, self._ends, self._hashes = journal_end, ends, hashes
        self.written.update(dict.fromkeys(names))

    def copy_to(self, target: BinaryIO) -> None:
        """Write all rows of the first array, then of the next."""
        for file in self._data.values():
            file.seek(0)
            shutil.copyfileobj(file, target, 1 << 20)

    def close(self) -> None:
        """Let go of the files; the rows stay for another `PartialRows`."""
        self._files.close()

    def _recover(self) -> None:
        """Take over the chunks that are whole; cut off what stands behind them."""
        for line in self._journal:
            names = self._recover_chunk(line)
            if names is None:
                break
            self.written.update(dict.fromkeys(names))
            self._journal_end += len(line)
            self._ends = {array: file.tell() for array, file in self._data.items()}
        self._journal.truncate(self._journal_end)
        for array, file in self._data.items():
            file.truncate(self._ends[array])

    def _recover_chunk(self, line: bytes) -> list[str] | None:
        """Names of the chunk that a line of the journal is about; None if it is not whole."""
        try:
            chunk = json.loads(line)
            names, checksums = list(chunk["names"]), dict(chunk["crc32"])
            known = all(name in self._names and name not in self.written for name in names)
        except (ValueError, KeyError, TypeError):
            return None
        if not line.endswith(b"\n") or not known:
            return None
        parts = {}
        for array, file in self._data.items():
            row_bytes = int(np.prod(self._row_shapes[array])) * dtype_of(array).itemsize
            parts[array] = file.read(row_bytes * len(names))
            whole = len(parts[array]) == row_bytes * len(names)
            if not whole or zlib.crc32(parts[array]) != checksums.get(array):
                return None
        for array, part in parts.items():
            self._hashes[array].update(part)
        return names


def _check_plan(file: Path, plan: Mapping[str, Any]) -> None:
    """Hold a plan against the one in the file, or put it there."""
    if not file.exists():
        temporary = file.with_suffix(".tmp")
        temporary.write_text(json.dumps(plan), encoding="utf-8")
        os.replace(temporary, file)  # noqa: PTH105 (said as in `FeatureWriter.finish`)
        return
    try:
        begun = json.loads(file.read_text(encoding="utf-8"))
        different = [key for key in plan if begun[key] != plan[key]]
    except (ValueError, KeyError, TypeError) as error:
        raise FeatureStoreError(
            f"{file}: not what an interrupted writer leaves; delete {file.parent}"
        ) from error
    if different:
        what = [f"{key} {_short(begun[key])}, now {_short(plan[key])}" for key in different]
        raise FeatureStoreError(
            f"{file.parent}: begun with {'; '.join(what)}. "
            "Go on with what it was begun with, or delete that folder to start anew."
        )


def _short(value: object) -> str:
    if isinstance(value, list):
        return f"(a list of {len(value):,})"
    return repr(value)


def _open(path: Path, stack: ExitStack) -> BinaryIO:
    path.touch()
    return stack.enter_context(path.open("r+b"))


def _lock(file: BinaryIO, folder: Path) -> None:
    """Keep other writers out; the system lets go of the lock when this process ends."""
    if sys.platform == "win32":  # two writers at once are not noticed there
        return
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FeatureStoreError(
            f"{folder}: another process is writing here; wait until it is done"
        ) from error


def _write(file: BinaryIO, at: int, data: bytes) -> int:
    """Bring bytes to the disk at a position; returns the position after them."""
    file.seek(at)
    file.write(data)
    file.flush()
    os.fsync(file.fileno())
    return at + len(data)


def _unwritable(folder: Path, error: OSError) -> FeatureStoreError:
    return FeatureStoreError(
        f"{folder}: cannot be written ({error.strerror or error}); "
        "the rows that are there stay, run the same again to go on"
    )
