"""An XMP packet, parsed as far as its alt text and its description go.

Edits are splices at byte positions that the parser gives: all else in the packet, whoever wrote it
and however, stays byte for byte.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

from unrolled.errors import MetadataError
from unrolled.jobs.metadata.xmp_reading import (
    ALT,
    DC,
    DEFAULT,
    DESCRIPTION,
    IPTC,
    RDF,
    Property,
    Reader,
    name_at,
    tag_at,
)

_NO_CHARACTERS = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_RDF = f' xmlns:rdf="{RDF}"'
_EMPTY = f"""\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{RDF}">
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
""".encode()


class Packet:
    """A packet of XMP.

    Parameters
    ----------
    data : bytes
        UTF-8.

    Attributes
    ----------
    alt_text : str
        The photo's; empty if it has none.
    described : bool
        Whether it has a description.

    Raises
    ------
    MetadataError
        If it is not well-formed, not XMP, not UTF-8, too long, or has a document type, which XMP
        never has and which may hold no end of entities.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        reader = Reader(data)
        self._about = reader.about
        self._rdf = reader.rdf
        self._alt = reader.properties.get(ALT)
        self._alt_attribute = reader.attributes.get(ALT, "")
        described = reader.properties.get(DESCRIPTION)
        self.described = bool(
            (described and described.text.strip()) or reader.attributes.get(DESCRIPTION)
        )
        self.alt_text = _said(self._alt) or self._alt_attribute

    @classmethod
    def empty(cls) -> Packet:
        """Make one that says nothing yet.

        Returns
        -------
        Packet
        """
        return cls(_EMPTY)

    def with_alt_text(self, text: str, *, describe: bool) -> bytes:
        """Put an alt text in, in the place of the one there is, if there is one.

        Parameters
        ----------
        text : str
            In the language of those who have none of their own; other languages stay.
        describe : bool
            Also make it the description, if there is none.

        Returns
        -------
        bytes
            The packet, in which nothing else has changed.

        Raises
        ------
        MetadataError
            If there is an alt text in a form that XMP has not, or that it cannot be put into.
        """
        if self._alt_attribute:
            raise MetadataError(
                "its alt text is an attribute, which XMP has not; delete that first"
            )
        text = clean(text)
        ours = []
        if self._alt is None:
            ours.append(("Iptc4xmpCore:AltTextAccessibility", "Iptc4xmpCore", IPTC))
        if describe and not self.described:
            ours.append(("dc:description", "dc", DC))
        splices = []
        if ours:
            splices.append(self._at_the_end(_description(self._about, ours, text)))
        if self._alt is not None:
            splices.append(self._in_place(self._alt, text))
        data = self._data
        for start, end, new in sorted(splices, reverse=True):
            data = data[:start] + new + data[end:]
        if not _says(data, text):
            raise MetadataError("its XMP is of a form that an alt text cannot be put into")
        return data

    def _at_the_end(self, element: bytes) -> tuple[int, int, bytes]:
        """Put an element behind the others."""
        start, end = self._rdf
        if start < end:
            return end, end, element
        tag = tag_at(self._data, start)  # <rdf:RDF/>, which has no end of its own
        name = tag[1]
        return tag.end() - 2, tag.end(), b">" + element + b"</" + name + b">"

    def _in_place(self, alt: Property, text: str) -> tuple[int, int, bytes]:
        """Put a text in the place of the default one, or before those of other languages."""
        if not alt.items:
            name, spaces = name_at(self._data, alt.start)
            inside = _alternatives(text, _RDF)
            return alt.start, alt.end, f"<{name}{spaces}>{inside}</{name}>".encode()
        old = alt.default
        start, end = (old.start, old.end) if old else (alt.items[0].start,) * 2
        name, spaces = name_at(self._data, start)
        item = f'<{name}{spaces} xml:lang="{DEFAULT}">{_escaped(text)}</{name}>'
        return start, end, item.encode()


def clean(text: str) -> str:
    """Leave out what XML has no characters for, and the space around a text.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    return _NO_CHARACTERS.sub("", text).strip()


def _says(data: bytes, text: str) -> bool:
    """Whether what has been put together is a packet with this alt text."""
    try:
        alt = Reader(data).properties.get(ALT)
    except MetadataError:
        return False
    return alt is not None and alt.default is not None and alt.default.text == text


def _said(found: Property | None) -> str:
    """Give a text, the default one if there are several."""
    if found is None:
        return ""
    default = found.default
    return (default.text.strip() if default else "") or found.text.strip()


def _description(about: str, properties: list[tuple[str, str, str]], text: str) -> bytes:
    """Write an element of its own, which needs nothing of those around it."""
    spaces = "".join(f'\n    xmlns:{prefix}="{uri}"' for _, prefix, uri in properties)
    about = escape(about, {'"': "&quot;"})
    texts = "".join(f"   <{name}>{_alternatives(text)}</{name}>\n" for name, *_ in properties)
    return (
        f'  <rdf:Description{_RDF} rdf:about="{about}"{spaces}>\n{texts}  </rdf:Description>\n'
    ).encode()


def _alternatives(text: str, spaces: str = "") -> str:
    item = f'<rdf:li xml:lang="{DEFAULT}">{_escaped(text)}</rdf:li>'
    return f"<rdf:Alt{spaces}>{item}</rdf:Alt>"


def _escaped(text: str) -> str:
    return escape(text, {"\r": "&#13;"})
