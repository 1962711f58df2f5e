"""What a line of a journal of captions says."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from unrolled.captioner import Caption

NOWHERE: frozenset[str] = frozenset()


class PhotoFile(NamedTuple):
    """Which file a photo is, and which state of it.

    Attributes
    ----------
    path : str
        Absolute.
    size : int
        Bytes.
    mtime_ns : int
        When it was last changed, in nanoseconds since 1970.
    """

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> PhotoFile:
        """Look at a file; raises OSError where there is none."""
        status = os.stat(path)  # noqa: PTH116 - called a hundred thousand times
        absolute = os.path.abspath(path)  # noqa: PTH100
        if absolute == path:
            absolute = path  # so that there is one text, not two
        return cls(absolute, status.st_size, status.st_mtime_ns)


class Entries:
    """Entries by path, packed: a hundred thousand of them take some twenty megabytes."""

    _packed = struct.Struct("<qqqIH")

    def __init__(self) -> None:
        self._by_path: dict[str, bytes] = {}
        self._places: list[tuple[frozenset[str], frozenset[str]]] = []

    def __setitem__(self, path: str, entry: Entry) -> None:
        """Keep an entry; raises ValueError if its numbers are of no file there can be."""
        size, mtime_ns, written, left, start, length = entry
        pair = written, left
        if pair not in self._places:  # there are few
            self._places.append(pair)
        try:
            packed = self._packed.pack(size, mtime_ns, start, length, self._places.index(pair))
        except struct.error as error:
            raise ValueError(f"size and mtime_ns were expected, {error}") from error
        self._by_path[path] = packed

    def get(self, path: str) -> Entry | None:
        """Give a path's entry.

        Parameters
        ----------
        path : str

        Returns
        -------
        Entry or None
        """
        packed = self._by_path.get(path)
        if packed is None:
            return None
        size, mtime_ns, start, length, places = self._packed.unpack(packed)
        written, left = self._places[places]
        return Entry(size, mtime_ns, written, left, start, length)

    def forget(self, path: str) -> None:
        """Keep no entry of a path.

        Parameters
        ----------
        path : str
        """
        self._by_path.pop(path, None)


class Entry(NamedTuple):
    """What is known of a photo that is done.

    Attributes
    ----------
    size, mtime_ns : int
        As in `PhotoFile`.
    written : frozenset of str
        Where its alt text has been written.
    left : frozenset of str
        Where there was one already, which was left alone.
    start, length : int
        Where its line stands, in bytes.
    """

    size: int
    mtime_ns: int
    written: frozenset[str]
    left: frozenset[str]
    start: int
    length: int


def write_line(
    photo: PhotoFile, captions: Sequence[Caption], written: frozenset[str], left: frozenset[str]
) -> bytes:
    """Write the line of a photo that is done.

    Parameters
    ----------
    photo : PhotoFile
    captions : sequence of Caption, best first
    written, left : frozenset of str
        As in `Entry`.

    Returns
    -------
    bytes
        JSON in ASCII, with its newline.
    """
    best, *others = [[each.text, _or_null(each.log_prob)] for each in captions]
    record: dict[str, Any] = photo._asdict() | {"caption": best[0], "log_prob": best[1]}
    if others:
        record["others"] = others
    for name, places in (("written", written), ("left", left)):
        if places:
            record[name] = sorted(places)
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def read_entry(line: bytes, start: int) -> tuple[str, Entry]:
    """Read a line but for its captions.

    Parameters
    ----------
    line : bytes
    start : int
        Where it stands.

    Returns
    -------
    path : str
    entry : Entry

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is none.
    """
    record = json.loads(line.decode("ascii"))
    size, mtime_ns, path = record["size"], record["mtime_ns"], record["path"]
    if not (isinstance(path, str) and isinstance(record["caption"], str) and "log_prob" in record):
        raise TypeError("a path, a caption and its log_prob were expected")
    written = frozenset(record["written"]) if "written" in record else NOWHERE
    left = frozenset(record["left"]) if "left" in record else NOWHERE
    return path, Entry(size, mtime_ns, written, left, start, len(line))


def read_captions(line: bytes) -> list[Caption]:
    """Read a line's captions, best first.

    Parameters
    ----------
    line : bytes

    Returns
    -------
    list of Caption
    """
    record = json.loads(line)
    pairs = [(record["caption"], record["log_prob"]), *record.get("others", ())]
    return [Caption(text, math.nan if value is None else value) for text, value in pairs]


def _or_null(number: float) -> float | None:
    return number if math.isfinite(number) else None
