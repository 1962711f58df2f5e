"""Web pages whose images get the ``alt`` they lack."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from unrolled.captioner import Captioners, Decoding
from unrolled.errors import DataError, ImageError
from unrolled.jobs.alt.images import PageImage, attribute, read_page
from unrolled.jobs.whole_files import read_file, read_with_state, replace_file

MOST_BYTES = 16 << 20
"""Of a page that is read."""


class AltProgress(NamedTuple):
    """How many images are captioned."""

    done: int
    total: int


class ImageLeft(NamedTuple):
    """An image without an ``alt`` that gets none.

    Attributes
    ----------
    page : str
    line : int
    source : str
        As the page has it; empty if it has none.
    reason : str
    """

    page: str
    line: int
    source: str
    reason: str


class PageChange(NamedTuple):
    """A page, and what it would be with its images' alt texts.

    Attributes
    ----------
    path : str
    before, after : bytes
    filled : int
        How many images get an alt text.
    """

    path: str
    before: bytes
    after: bytes
    filled: int

    def diff(self) -> list[bytes]:
        """Show the difference as ``diff -u`` does.

        Returns
        -------
        list of bytes
            Lines, as they stand in the files.
        """
        name = os.fsencode(self.path)
        lines = difflib.diff_bytes(
            difflib.unified_diff,
            _lines(self.before),
            _lines(self.after),
            name,
            name,
        )
        return [
            line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n"
            for line in lines
        ]

    def write(self) -> None:
        """Put the page in the place of the one that was read.

        Raises
        ------
        DataError
            If it cannot be written, or has changed since it was read.
        """
        data, state = read_with_state(self.path, MOST_BYTES)
        if data != self.before:
            raise DataError(f"{self.path}: changed since it was read; nothing was written to it")
        try:
            replace_file(self.path, self.after, read=state)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written ({error.strerror})") from error


def fill_pages(
    pages: Sequence[str],
    captioners: Captioners,
    *,
    root: str | None = None,
    decoding: Decoding | None = None,
    encoder: str | None = None,
) -> Iterator[AltProgress | ImageLeft | PageChange]:
    """Caption the images of web pages that have no ``alt``; nothing is written.

    An image is captioned if it is a file in the folder of its page, or below, or in ``root``.

    Parameters
    ----------
    pages : sequence of str
        One that is named in two ways is one.
    captioners : Captioners
    root : str, optional
        The folder that the site is in, where addresses that begin with a slash begin.
    decoding : Decoding, optional
    encoder : str, optional
        As in `Captioner.caption_photos`.

    Yields
    ------
    ImageLeft
        For each image that gets no alt text.
    AltProgress
        For each that is captioned.
    PageChange
        At the end, for each page that would change.

    Raises
    ------
    DataError
        If a page cannot be read.
    """
    read = _read(pages)
    wanted: list[tuple[str, PageImage, Path]] = []
    for path, data in read.items():
        for each in _files(path, data, root):
            if isinstance(each, ImageLeft):
                yield each
            else:
                wanted.append((path, *each))
    captions: dict[Path, str] = {}
    bad: dict[Path, ImageError] = {}
    files = list(dict.fromkeys(file for *_, file in wanted))
    if files:
        for file, [best, *_] in captioners.photo_candidates(
            files, decoding=decoding, on_error=bad.__setitem__, encoder=encoder
        ):
            captions[file] = best.text
            yield AltProgress(len(captions) + len(bad), len(files))
    for path, image, file in wanted:
        if file in bad:
            reason = str(bad[file]).removeprefix(f"{file}: ").rstrip(".")
            yield ImageLeft(path, image.line, image.sources[0], reason)
    texts: dict[str, list[tuple[int, str]]] = {}
    for path, image, file in wanted:
        if file in captions:
            texts.setdefault(path, []).append((image.position, captions[file]))
    for path, found in texts.items():
        yield PageChange(path, read[path], _filled(read[path], found), len(found))


def _read(pages: Sequence[str]) -> dict[str, bytes]:
    """Read each page once, under the first of its names."""
    read: dict[str, bytes] = {}
    seen: set[str] = set()
    for path in pages:
        data = read_file(path, MOST_BYTES)
        file = os.path.realpath(path)
        if file not in seen:
            seen.add(file)
            read[path] = data
    return read


def _filled(data: bytes, texts: Sequence[tuple[int, str]]) -> bytes:
    """Put alt texts in at their positions."""
    pieces = []
    start = 0
    for position, text in texts:
        pieces += [data[start:position], attribute(text)]
        start = position
    return b"".join([*pieces, data[start:]])


def _files(
    path: str, data: bytes, root: str | None
) -> Iterator[tuple[PageImage, Path] | ImageLeft]:
    """Find the file that each image without an ``alt`` shows."""
    try:
        page = read_page(data)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    folder = Path(path).parent
    for image in page.images:
        reason = image.reason
        for source in () if reason else image.sources:
            found = _locate(source, page.base, folder, root)
            if isinstance(found, Path):
                yield image, found
                break
            reason = reason or found
        else:
            yield ImageLeft(path, image.line, image.sources[0] if image.sources else "", reason)


def _locate(source: str, base: str, folder: Path, root: str | None) -> Path | str:
    """Find the file at an address, or say why there is none that may be taken."""
    try:
        address = urlsplit(urljoin(base, source))
    except ValueError:
        return "its address cannot be read"
    if address.scheme == "data":
        return "it is in the page itself (data:)"
    if address.scheme or address.netloc:
        return "it is not on this machine"
    if "\0" in address.path or "%00" in address.path:
        return "its address cannot be read"
    name = os.fsdecode(unquote_to_bytes(address.path.encode("utf-8", "surrogateescape")))
    start = folder
    if name.startswith("/"):
        if root is None:
            return "its address begins at the site's folder; say with --root where that is"
        start, name = Path(root), name.lstrip("/")
    try:
        within, file = Path(root or folder).resolve(), (start / name).resolve()
        if not file.is_relative_to(within):
            return f"it is not in the folder {root or folder}"
        status = file.stat()
    except FileNotFoundError:
        return "there is no such file"
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
        return f"it cannot be read ({getattr(error, 'strerror', None) or error})"
    return file if stat.S_ISREG(status.st_mode) else "it is no file"


def _lines(data: bytes) -> list[bytes]:
    """Split where lines end for a diff, which is nowhere but at a newline."""
    return re.findall(rb"[^\n]*\n|[^\n]+", data)
