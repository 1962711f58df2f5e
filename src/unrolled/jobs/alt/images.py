"""The images of a web page, and where each one's tag stands in the file.

A page is read byte by byte: those of ASCII as what they are, each other one as a character that
stands for that byte. In every encoding of the web but UTF-16 and ISO-2022-JP the bytes of ``<``,
``>``, quotes and spaces mean these and nothing else, so that tags are found, and positions are
right, whatever the rest of the text is written in.
"""

from __future__ import annotations

import codecs
import html
import itertools
import re
import unicodedata
from html.parser import HTMLParser
from typing import NamedTuple

from unrolled.errors import DataError

_BYTES = {"encoding": "ascii", "errors": "surrogateescape"}
_CHARSET = re.compile(rb"<meta[^>]+?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.I)
_WHERE_CHARSETS_ARE = 1024
_SHIFT = re.compile(rb"\x1b[$(]")  # what ISO-2022-JP tells its characters from ASCII by
_NO_MARKUP = frozenset({"textarea", "title", "xmp", "iframe", "noembed", "noframes"})
_DECORATION = frozenset({"presentation", "none"})
_CANDIDATE = re.compile(r"[^\s,]\S*[^\s,]|[^\s,]")


class PageImage(NamedTuple):
    """An ``img`` without an ``alt``.

    Attributes
    ----------
    line : int
        Where its tag begins, from 1.
    position : int
        Byte behind ``<img``, where attributes may be put.
    sources : tuple of str
        What it may show, its ``src`` first; then of ``srcset``, and of the ``picture`` around it.
    reason : str
        Why it is left alone; empty if it is not.
    """

    line: int
    position: int
    sources: tuple[str, ...]
    reason: str = ""


class Page(NamedTuple):
    """What there is to know of a page.

    Attributes
    ----------
    images : list of PageImage
        Those without an ``alt``, in their order.
    base : str
        What addresses are relative to, if the page says so.
    """

    images: list[PageImage]
    base: str


def read_page(data: bytes) -> Page:
    """Find the images of a page that have no ``alt``.

    An empty ``alt`` says that an image is decoration, and is an alt text like any other.

    Parameters
    ----------
    data : bytes
        HTML.

    Returns
    -------
    Page

    Raises
    ------
    DataError
        If the page is in an encoding whose tags cannot be told from its text.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or _SHIFT.search(data):
        raise DataError("in UTF-16 or ISO-2022-JP; save it as UTF-8")
    reader = _Reader(_encoding(data))
    text = data.decode(**_BYTES)
    reader.lines = [0, *(match.end() for match in re.finditer("\n", text))]
    reader.feed(text)
    reader.close()
    images = [i for i in reader.images if data[i.position - 4 : i.position].lower() == b"<img"]
    return Page(images, reader.base)


def attribute(text: str) -> bytes:
    """Write an ``alt`` attribute with a space before it, in ASCII.

    Parameters
    ----------
    text : str
        Becomes one line, without control characters.

    Returns
    -------
    bytes
    """
    text = "".join(
        character
        for character in " ".join(text.split())
        if unicodedata.category(character) not in ("Cc", "Cs")
    )
    return f' alt="{html.escape(text)}"'.encode("ascii", errors="xmlcharrefreplace")


def _encoding(data: bytes) -> str:
    """Say what the page says it is written in; addresses of images depend on it."""
    said = _CHARSET.search(data[:_WHERE_CHARSETS_ARE])
    try:
        return codecs.lookup(said[1].decode("ascii")).name if said else "utf-8"
    except (LookupError, UnicodeDecodeError):
        return "utf-8"


class _Reader(HTMLParser):
    """Goes through a page's tags."""

    def __init__(self, encoding: str) -> None:
        super().__init__(convert_charrefs=False)
        self.images: list[PageImage] = []
        self.base = ""
        self.lines = [0]
        self._encoding = encoding
        self._no_markup = ""
        self._picture: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an image, or what says something about one."""
        if self._no_markup:
            return
        if tag in _NO_MARKUP:
            self._no_markup = tag
        said: dict[str, str] = {}
        for name, value in attrs:  # of an attribute that is there twice, the first counts
            said.setdefault(name, self._text(value))
        if tag == "base" and not self.base:
            self.base = said.get("href", "").strip()
        elif tag == "picture":
            self._picture = []
        elif tag == "source" and self._picture is not None:
            self._picture += _candidates(said.get("srcset", ""))
        elif tag == "img" and "alt" not in said:
            self._note(said)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take ``<img/>`` for ``<img>``, and so on: in HTML the slash means nothing."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Leave a picture, or a place without markup."""
        if tag == self._no_markup:
            self._no_markup = ""
        elif tag == "picture":
            self._picture = None

    def _note(self, said: dict[str, str]) -> None:
        line, column = self.getpos()
        sources = [said["src"].strip()] if said.get("src", "").strip() else []
        sources += _candidates(said.get("srcset", "")) + (self._picture or [])
        reason = ""
        if said.get("role", "").strip().lower() in _DECORATION or _true(said.get("aria-hidden")):
            reason = "it is said to be decoration"
        elif any(said.get(name, "").strip() for name in ("aria-label", "aria-labelledby")):
            reason = "it has a label"
        elif not sources:
            reason = "it says no source"
        position = self.lines[line - 1] + column + len("<img")
        self.images.append(PageImage(line, position, tuple(dict.fromkeys(sources)), reason))

    def _text(self, value: str | None) -> str:
        """Read an attribute as the page's encoding has it; what it has not stays as bytes."""
        if value is None:
            return ""
        # The parser has resolved references such as &eacute; to characters that are no bytes.
        runs = ("".join(run) for _, run in itertools.groupby(value, _is_byte))
        return "".join(
            run.encode(**_BYTES).decode(self._encoding, errors="surrogateescape")
            if _is_byte(run[0])
            else run
            for run in runs
        )


def _is_byte(character: str) -> bool:
    return character < "\x80" or "\udc80" <= character <= "\udcff"


def _candidates(srcset: str) -> list[str]:
    """Give the addresses of a ``srcset``, each of which may have a width or a density behind it."""
    found = []
    for part in re.split(r",\s+|,$", srcset.strip()):
        match = _CANDIDATE.search(part)
        if match:
            found.append(match[0])
    return found


def _true(value: str | None) -> bool:
    return value is not None and value.strip().lower() == "true"
