"""The XMP of a JPEG: an APP1 segment, behind those of JFIF and EXIF.

References
----------
XMP Specification, part 3, section 1.1.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from unrolled.errors import MetadataError

BEGINS = b"\xff\xd8\xff"
MOST_BYTES = 65_502
"""Of a packet: a segment's length has sixteen bits."""

_APP0, _APP1, _APP2, _SOS, _EOI = 0xE0, 0xE1, 0xE2, 0xDA, 0xD9
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED = b"http://ns.adobe.com/xmp/extension/\0"
_EXIF = b"Exif\0"
_PICTURES = b"MPF\0"


class _Segment(NamedTuple):
    marker: int
    start: int
    end: int
    content: bytes

    def is_app(self, marker: int, begins: bytes) -> bool:
        return self.marker == marker and self.content.startswith(begins)


def read_packet(data: bytes) -> bytes | None:
    """Find the packet of XMP.

    Parameters
    ----------
    data : bytes
        A whole file.

    Returns
    -------
    bytes or None
        Of one in several pieces the first, which has all that is short.

    Raises
    ------
    MetadataError
        If the segments are damaged, or there is XMP twice.
    """
    found = _our_segment(list(_segments(data)))
    return None if found is None else found.content[len(_XMP) :]


def write_packet(data: bytes, packet: bytes) -> bytes:
    """Put a packet of XMP in, in the place of the one there is, if there is one.

    Parameters
    ----------
    data : bytes
        A whole file.
    packet : bytes

    Returns
    -------
    bytes
        The file, in which nothing else has changed.

    Raises
    ------
    MetadataError
        As for `read_packet`; if the packet is too long or was in several pieces, or lies behind an
        index of further pictures, which says where these are by its own place.
    """
    if len(packet) > MOST_BYTES:
        raise MetadataError(
            f"its XMP would have {len(packet):,} bytes, and a JPEG's has at most {MOST_BYTES:,} in "
            "one piece"
        )
    segments = list(_segments(data))
    if any(each.is_app(_APP1, _EXTENDED) for each in segments):
        raise MetadataError(
            "its XMP is in several pieces (extended XMP), which are not put together"
        )
    found = _our_segment(segments)
    start, end = (found.start, found.end) if found else (_place(segments),) * 2
    if any(each.is_app(_APP2, _PICTURES) and each.end <= start for each in segments):
        raise MetadataError("its XMP lies behind an index of further pictures, which it would move")
    length = (2 + len(_XMP) + len(packet)).to_bytes(2, "big")
    return data[:start] + b"\xff\xe1" + length + _XMP + packet + data[end:]


def _our_segment(segments: list[_Segment]) -> _Segment | None:
    ours = [each for each in segments if each.is_app(_APP1, _XMP)]
    if len(ours) > 1:
        raise MetadataError("it has XMP twice")
    return ours[0] if ours else None


def _place(segments: list[_Segment]) -> int:
    """Say where a packet goes: behind JFIF and EXIF, which must come first."""
    first = [s.end for s in segments if s.marker == _APP0 or s.is_app(_APP1, _EXIF)]
    return max(first, default=2)


def _segments(data: bytes) -> Iterator[_Segment]:
    """Go through the segments up to the picture's."""
    at = 2
    while True:
        start = at
        if data[at : at + 1] != b"\xff":
            raise MetadataError(f"JPEG with no segment at byte {at:,}")
        while data[at : at + 1] == b"\xff":  # any number of them may come before a marker
            at += 1
        marker = data[at] if at < len(data) else _EOI
        if marker in (_SOS, _EOI):
            return
        end = at + 1 + int.from_bytes(data[at + 1 : at + 3], "big")
        if end < at + 3 or end > len(data):
            raise MetadataError(f"JPEG with a damaged segment at byte {start:,}")
        yield _Segment(marker, start, end, data[at + 3 : end])
        at = end
