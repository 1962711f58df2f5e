"""Where in a packet of XMP its alt text and its description stand, and what they say."""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.parsers import expat

from unrolled.errors import MetadataError

MOST_BYTES = 16 << 20
"""Of a packet that is read: darktable's longest, with masks drawn by hand, have some megabytes."""

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
DC = "http://purl.org/dc/elements/1.1/"
ALT = f"{IPTC} AltTextAccessibility"
DESCRIPTION = f"{DC} description"
DEFAULT = "x-default"

_LANGUAGE = "http://www.w3.org/XML/1998/namespace lang"
_TAG = re.compile(rb"<([^\s/>]+)(?:[^\"'>]|\"[^\"]*\"|'[^']*')*>")
_ATTRIBUTE = re.compile(rb"\s([^\s=]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")


class Item(NamedTuple):
    """One language of a text."""

    language: str
    start: int
    end: int
    text: str


class Property(NamedTuple):
    """A text in some languages, as an element."""

    start: int
    end: int
    text: str
    items: list[Item]

    @property
    def default(self) -> Item | None:
        """The text for whoever has no language of their own."""
        return next((each for each in self.items if each.language == DEFAULT), None)


class Reader:
    """Reads a packet, and notes where things stand."""

    def __init__(self, data: bytes) -> None:
        self.about = ""
        self.rdf = (0, 0)
        self.properties: dict[str, Property] = {}
        self.attributes: dict[str, str] = {}
        self._data = data
        self._path: list[tuple[str, int]] = []
        self._rdf_depth: int | None = None
        self._rdf_ended = False
        self._described = False
        self._texts: list[str] = []
        self._items: list[Item] = []
        self._item: tuple[str, int, int] | None = None
        self._parse()
        if self._rdf_depth is None:
            raise MetadataError("not XMP: it has no rdf:RDF")

    def _parse(self) -> None:
        if len(self._data) > MOST_BYTES:
            raise MetadataError(
                f"{len(self._data):,} bytes of XMP; {MOST_BYTES:,} are read at most"
            )
        self._parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self._parser.XmlDeclHandler = self._declared
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._texts.append
        try:
            self._parser.Parse(self._data.rstrip(b"\0"), True)  # some end it as a C string
        except expat.ExpatError as error:
            raise MetadataError(f"XMP that is not well-formed ({error})") from error

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8"):
            raise MetadataError(f"XMP in {encoding}, where UTF-8 is read")

    def _doctype(self, *_: object) -> None:
        raise MetadataError("XMP with a document type, which is not read")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at = self._parser.CurrentByteIndex
        depth = len(self._path)
        if self._rdf_depth is None:
            if name == f"{RDF} RDF":
                self._rdf_depth = depth
        elif self._rdf_ended:
            pass
        elif depth == self._rdf_depth + 1:
            if not self._described:
                self.about = attributes.get(f"{RDF} about", attributes.get("about", ""))
                self._described = True
            said = {each: attributes.get(each, "").strip() for each in (ALT, DESCRIPTION)}
            self.attributes |= {each: text for each, text in said.items() if text}
        elif depth == self._rdf_depth + 2:
            del self._texts[:], self._items[:]
        elif name == f"{RDF} li" and self._item is None:
            self._item = attributes.get(_LANGUAGE, ""), at, len(self._texts)
        self._path.append((name, at))

    def _end(self, name: str) -> None:
        _, start = self._path.pop()
        at = self._parser.CurrentByteIndex
        inside = not tag_at(self._data, start)[0].endswith(b"/>")
        end = self._data.index(b">", at) + 1 if inside else tag_at(self._data, start).end()
        depth = len(self._path)
        if self._rdf_depth is None or self._rdf_ended:
            return
        if depth == self._rdf_depth:
            self.rdf = (start, at if inside else start)
            self._rdf_ended = True
        elif self._item and self._item[1] == start:
            language, _, first = self._item
            text = "".join(self._texts[first:])
            self._items.append(Item(language, start, end, text))
            self._item = None
        elif depth == self._rdf_depth + 2 and not self._has(name):
            text = "".join(self._texts)
            self.properties[name] = Property(start, end, text, list(self._items))

    def _has(self, name: str) -> bool:
        return name in self.properties and bool(self.properties[name].text.strip())


def tag_at(data: bytes, start: int) -> re.Match[bytes]:
    """Find where a start tag ends; its first group is its name.

    Parameters
    ----------
    data : bytes
    start : int
        Where it begins.

    Returns
    -------
    re.Match
    """
    tag = _TAG.match(data, start)
    if tag is None:  # cannot be: a parser has just read one there
        raise MetadataError(f"no tag at byte {start:,}")
    return tag


def name_at(data: bytes, start: int) -> tuple[str, str]:
    """Give an element's name as it is written, and the namespaces that its start tag declares.

    Parameters
    ----------
    data : bytes
    start : int
        Where it begins.

    Returns
    -------
    name : str
    declarations : str
        Attributes with a space before each: ``xmlns`` and ``xmlns:...``.
    """
    tag = tag_at(data, start)
    declared = b"".join(
        b" " + each[0].strip()
        for each in _ATTRIBUTE.finditer(data, tag.end(1), tag.end())
        if each[1] == b"xmlns" or each[1].startswith(b"xmlns:")
    )
    return tag[1].decode(), declared.decode()
