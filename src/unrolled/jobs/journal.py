"""A journal of captions: a line of JSON for each photo, so that a run that was stopped goes on.

::

    {"journal": "unrolled caption", "version": 1, "settings": {"captioner": "0f3a...", "width": 5}}
    {"path": "/album/a.jpg", "size": 71934, "mtime_ns": 1700000000000000000, "caption": ...}

A line is handed to the system as soon as its photo is done: a kill loses none. Lines are only ever
appended, and the latest of a photo counts. A photo is done if its path, its size and its time are
those of its line. Captions are read back from the file when they are wanted, and only where they
stand is kept in memory.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from unrolled.captioner import Caption
from unrolled.errors import DataError
from unrolled.jobs.journal_lines import (
    NOWHERE,
    Entries,
    Entry,
    PhotoFile,
    read_captions,
    read_entry,
    write_line,
)
from unrolled.jobs.run_lock import lock

_KIND = {"journal": "unrolled caption", "version": 1}
_LINES_BETWEEN_SYNCS = 100
_LONGEST_HEADER = 1 << 20
_MOST_IN_MEMORY = 8 << 20


class Journal:
    """Captions by photo, on the disk.

    Parameters
    ----------
    path : path or None
        The file, made if it is not there; None for what ends with the process, in memory as long as
        it is short and then in a file without a name.
    settings : mapping of str to str, number or bool
        What captions depend on besides the photos.

    Raises
    ------
    DataError
        If it cannot be read or written, is no journal, is in use, or was begun with other settings.
    """

    def __init__(self, path: str | Path | None, settings: Mapping[str, Any]) -> None:
        self._name = "the journal" if path is None else str(path)
        self._entries = Entries()
        self._end = 0
        self._lines = 0
        self._kept = path is not None
        if path is None:
            self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY)  # noqa: SIM115
            return
        try:
            self._file = file = _open(Path(path))
        except OSError as error:
            raise self._failed("opened", error) from error
        try:
            self._recover(file, settings)
        except BaseException as error:
            self._file.close()
            if isinstance(error, OSError):
                raise self._failed("read", error) from error
            raise

    def __enter__(self) -> Journal:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Bring all lines to the disk, and let go of the file."""
        with self._file, contextlib.suppress(OSError):  # the system has them all the same
            if self._kept:
                os.fsync(self._file.fileno())

    def find(self, photo: PhotoFile) -> Entry | None:
        """Say what is known of a photo, in this state of it; what was of another is forgotten.

        Parameters
        ----------
        photo : PhotoFile

        Returns
        -------
        Entry or None
        """
        entry = self._entries.get(photo.path)
        if entry is not None and (entry.size, entry.mtime_ns) != photo[1:]:
            self._entries.forget(photo.path)
            return None
        return entry

    def forget(self, path: str) -> None:
        """Count a photo as not done, such as one that is no longer there.

        Parameters
        ----------
        path : str
            In any spelling.
        """
        self._entries.forget(os.path.abspath(path))  # noqa: PTH100

    def append(
        self,
        photo: PhotoFile,
        captions: Sequence[Caption],
        written: frozenset[str] = NOWHERE,
        left: frozenset[str] = NOWHERE,
    ) -> None:
        """Add a photo that is done; it outlives a kill when this returns.

        Parameters
        ----------
        photo : PhotoFile
        captions : sequence of Caption, best first
        written, left : frozenset of str
            As in `Entry`.

        Raises
        ------
        DataError
            If the disk does not take it.
        """
        start, length = self._append(write_line(photo, captions, written, left))
        self._entries[photo.path] = Entry(*photo[1:], written, left, start, length)

    def captions(self, path: str) -> list[Caption] | None:
        """Read a photo's captions, best first.

        Parameters
        ----------
        path : str
            In any spelling.

        Returns
        -------
        list of Caption or None
            None if it is not done.
        """
        entry = self._entries.get(os.path.abspath(path))  # noqa: PTH100
        if entry is None:
            return None
        self._file.seek(entry.start)
        return read_captions(self._file.read(entry.length))

    def _append(self, line: bytes) -> tuple[int, int]:
        start = self._end
        try:
            self._file.seek(start)
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._lines += 1
            if self._kept and self._lines % _LINES_BETWEEN_SYNCS == 0:
                os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(start)
            raise self._failed("written", error) from error
        self._end += len(line)
        return start, len(line)

    def _recover(self, file: io.FileIO, settings: Mapping[str, Any]) -> None:
        """Take over the lines that are there; what was torn off of one is cut away."""
        reader = io.BufferedReader(file, 1 << 20)
        try:
            header = reader.readline(_LONGEST_HEADER)
            if header.endswith(b"\n"):
                self._check(header, settings)
                self._end = len(header)
                self._read_lines(reader)
            elif not _torn(header):
                raise self._not_one()
        finally:
            reader.detach()
        file.truncate(self._end)
        if not self._end:
            self._append(json.dumps(_KIND | {"settings": dict(settings)}).encode() + b"\n")

    def _read_lines(self, reader: Iterable[bytes]) -> None:
        for number, line in enumerate(reader, start=2):
            if not line.endswith(b"\n"):  # a kill has torn it off, and its photo is not done
                return
            try:
                path, entry = read_entry(line, self._end)
                self._entries[path] = entry
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{self._name}:{number}: no line of a journal of captions ({error}); take the "
                    "line out, and its photo is captioned again"
                ) from error
            self._end += len(line)

    def _check(self, header: bytes, settings: Mapping[str, Any]) -> None:
        """Hold the settings against those that the journal was begun with."""
        try:
            begun = json.loads(header)
            if {name: begun.pop(name) for name in _KIND} != _KIND:
                raise ValueError
            was = dict(begun["settings"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._not_one() from None
        # As JSON has them: it knows no tuples.
        now = json.loads(json.dumps(dict(settings)))
        names = [name for name in now | was if was.get(name) != now.get(name)]
        if names:
            raise DataError(
                f"{self._name}: begun with "
                + "; ".join(f"{n} {was.get(n)!r:.40}, now {now.get(n)!r:.40}" for n in names)
                + ". Go on with what it was begun with, or name another journal"
            )

    def _not_one(self) -> DataError:
        return DataError(
            f"{self._name}: there, and no journal of captions; name a file that is not there yet, "
            "or one that an earlier --journal began"
        )

    def _failed(self, what: str, error: OSError) -> DataError:
        return DataError(
            f"{self._name}: cannot be {what} ({error.strerror or error}); the captions that are in "
            "it stay"
        )


def _open(path: Path) -> io.FileIO:
    """Open a journal for this process alone."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    file = io.FileIO(os.open(path, flags, 0o666), "r+")
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise DataError(f"{path}: a journal is an ordinary file, and this is none")
        if not lock(file.fileno()):
            raise DataError(
                f"{path}: another process is writing here; wait until it has ended, or name "
                "another journal"
            )
    except BaseException:
        file.close()
        raise
    return file


def _torn(header: bytes) -> bool:
    """Whether a kill may have left this of a first line."""
    begun = json.dumps(_KIND).encode()[:-1]
    return begun.startswith(header) or header.startswith(begun)
