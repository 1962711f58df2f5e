"""Text and JSON files of the user's, read whole, with errors that name the file and the line."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from unrolled.errors import CaptionFileError

MAX_FILE_BYTES = 1 << 30
"""Largest caption file that is read, in bytes; COCO's largest is under a tenth of it."""

Keys = tuple["str | int", ...]
"""Where a value lies in a JSON document, outermost key first."""

Fail = Callable[[str], CaptionFileError]
"""Turns a message into an error that names the place it is about."""


def read_bounded(path: Path, limit: int | None = None) -> bytes:
    """Bytes of a regular file of at most `limit` bytes (`MAX_FILE_BYTES`).

    Raises
    ------
    CaptionFileError
        When the file cannot be opened, is no regular file, or is larger.
    """
    limit = MAX_FILE_BYTES if limit is None else limit
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CaptionFileError(f"{path}: expected a file, got something else")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise CaptionFileError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(data) > limit:
        raise CaptionFileError(
            f"{path}: {status.st_size:,} bytes, more than the {limit:,} that are read at most; "
            "is this the right file?"
        )
    return data


def decode_utf8(data: bytes, path: Path) -> str:
    """Text of a UTF-8 file, a byte order mark left out.

    Raises
    ------
    CaptionFileError
        Naming the line, when the bytes are not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = "it looks like UTF-16" if utf16 else f"byte {data[error.start]:#04x}"
        raise CaptionFileError(f"{path}:{line}: not UTF-8 ({hint}); save it as UTF-8") from error


@dataclass(frozen=True)
class TextFile:
    """A UTF-8 text file.

    Attributes
    ----------
    path : Path
    text : str
    """

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path, limit: int | None = None) -> TextFile:
        """Read a file of at most `limit` bytes; raises `CaptionFileError`."""
        return cls(path, decode_utf8(read_bounded(path, limit), path))

    def lines(self) -> Iterator[tuple[int, str]]:
        r"""Line numbers from 1 and the lines without their ends, ``\n`` or ``\r\n``.

        No other character ends a line here (`str.splitlines` knows eight more, which captions
        may contain).
        """
        for number, line in enumerate(self.text.split("\n"), start=1):
            yield number, line.removesuffix("\r")

    def error(self, line: int, message: str) -> CaptionFileError:
        """Make an error about one line."""
        return CaptionFileError(f"{self.path}:{line}: {message}")


@dataclass(frozen=True)
class JsonFile:
    """A JSON document and where it came from.

    Attributes
    ----------
    path : Path
    value : object
        What `json.loads` made of it.
    """

    path: Path
    value: Any

    @classmethod
    def read(cls, path: Path) -> JsonFile:
        """Read a document of at most `MAX_FILE_BYTES`.

        Raises
        ------
        CaptionFileError
            Naming line and column where it is malformed, or the key that an object has twice.
        """
        text = decode_utf8(read_bounded(path), path)
        try:
            return cls(path, json.loads(text, object_pairs_hook=_object))
        except json.JSONDecodeError as error:
            raise CaptionFileError(
                f"{path}:{error.lineno}: not JSON at column {error.colno} ({error.msg}); "
                "is the file whole?"
            ) from error
        except (ValueError, RecursionError) as error:
            raise CaptionFileError(f"{path}: JSON that cannot be read ({error})") from error

    def error(self, keys: Keys, message: str) -> CaptionFileError:
        """Make an error about the value at `keys`, or about the whole document for no keys."""
        text = decode_utf8(read_bounded(self.path), self.path)
        place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
        subject = f"{place.lstrip('.')}: " if place else ""
        return CaptionFileError(f"{self.path}:{_line_of(text, keys)}: {subject}{message}")

    def member(self, item: Any, key: str, kind: type | tuple[type, ...], keys: Keys) -> Any:
        """``item[key]``, which must be of a `kind`.

        Parameters
        ----------
        item : object
            The value at `keys`.
        key : str
        kind : type or tuple of types
            ``str``, ``list``, ``dict``, ``int`` or several of them; a bool is no int.
        keys : tuple
            Where `item` lies, for the error.

        Raises
        ------
        CaptionFileError
            When `item` is no object, lacks `key`, or holds something else there.
        """
        if not isinstance(item, dict):
            raise self.error(keys, f"expected an object with {key!r}, got {_kind(item)}")
        if key not in item:
            have = ", ".join(map(repr, list(item)[:8])) or "nothing"
            raise self.error(keys, f"has no {key!r} (it has {have})")
        value = item[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            wanted = " or ".join(_KINDS[kind] for kind in kinds)
            raise self.error((*keys, key), f"expected {wanted}, got {_kind(value)}")
        return value


_KINDS: dict[type, str] = {
    str: "text",
    list: "a list",
    dict: "an object",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _kind(value: object) -> str:
    return _KINDS[type(value)]


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members; `json` would drop all but the last of equal keys."""
    value = dict(members)
    if len(value) < len(members):
        keys = [key for key, _ in members]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice!r} twice; keep one")
    return value


def _line_of(text: str, keys: Keys) -> int:
    """Line where the value at `keys` starts: `json` keeps no positions, so walk there again."""
    decoder = json.JSONDecoder()
    at = _skip(text, 0)
    for key in keys:
        at = _child(text, at, key, decoder)
    return text.count("\n", 0, at) + 1


def _child(text: str, at: int, key: str | int, decoder: json.JSONDecoder) -> int:
    """Position of the value at `key` in the object or list that starts at `at`."""
    is_object = text[at] == "{"
    at = _skip(text, at + 1)
    for position in count():
        name: str | int = position
        if is_object:
            name, at = decoder.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)  # past the colon
        if name == key:
            break
        at = _skip(text, decoder.raw_decode(text, at)[1])
        at = _skip(text, at + 1)  # past the comma
    return at


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
