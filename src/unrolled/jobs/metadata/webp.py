"""The XMP of a WebP: a chunk of its own, which the VP8X chunk announces.

References
----------
RFC 9649, sections 2.3 to 2.7, and for a picture's size 3.4; RFC 6386, section 9.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from unrolled.errors import MetadataError

BEGINS = b"RIFF"
KIND = b"WEBP"
_HEADER = 12
_HAS_XMP, _HAS_ALPHA = 0x04, 0x10


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    end: int
    content: bytes


def read_packet(data: bytes) -> bytes | None:
    """Find the packet of XMP.

    Parameters
    ----------
    data : bytes
        A whole file.

    Returns
    -------
    bytes or None

    Raises
    ------
    MetadataError
        If a chunk is damaged, or there is XMP twice.
    """
    found = _our_chunk(list(_chunks(data)))
    return None if found is None else found.content


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
        The file, in which nothing else has changed but that it says that there is XMP.

    Raises
    ------
    MetadataError
        As for `read_packet`.
    """
    chunks = list(_chunks(data))
    found = _our_chunk(chunks)
    last = chunks[-1].end
    start, end = (found.start, found.end) if found else (last, last)
    if chunks[0].kind == b"VP8X":
        flags = data[_HEADER + 8] | _HAS_XMP
        head = data[_HEADER : _HEADER + 8] + bytes([flags]) + data[_HEADER + 9 : chunks[0].end]
        body = head + data[chunks[0].end : start]
    else:
        body = _chunk(b"VP8X", _extended(chunks[0])) + data[_HEADER:start]
    body += _chunk(b"XMP ", packet) + data[end:last]
    size = (len(KIND) + len(body)).to_bytes(4, "little")
    return BEGINS + size + KIND + body + data[last:]


def _our_chunk(chunks: list[_Chunk]) -> _Chunk | None:
    ours = [chunk for chunk in chunks if chunk.kind == b"XMP "]
    if len(ours) > 1:
        raise MetadataError("it has XMP twice")
    return ours[0] if ours else None


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    last = 8 + int.from_bytes(data[4:8], "little")
    at = _HEADER
    while at < last:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + length + length % 2
        if end > min(last, len(data)):
            raise MetadataError(f"WebP with a damaged chunk at byte {at:,}")
        yield _Chunk(data[at : at + 4], at, end, data[at + 8 : at + 8 + length])
        at = end
    if at == _HEADER:
        raise MetadataError("WebP with nothing in it")


def _extended(picture: _Chunk) -> bytes:
    """Make what VP8X says of a file that had no need of it: one picture, no more."""
    head = picture.content
    if picture.kind == b"VP8 " and len(head) >= 10 and head[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        alpha = 0
    elif picture.kind == b"VP8L" and len(head) >= 5 and head[0] == 0x2F:
        bits = int.from_bytes(head[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        alpha = _HAS_ALPHA if bits >> 28 & 1 else 0
    else:
        raise MetadataError("WebP whose first chunk is no picture")
    sizes = ((length - 1).to_bytes(3, "little") for length in (width, height))
    return bytes([_HAS_XMP | alpha, 0, 0, 0]) + b"".join(sizes)
