"""The XMP of a PNG: an iTXt chunk named ``XML:com.adobe.xmp``.

References
----------
XMP Specification, part 3, section 1.1.5; PNG (Third Edition), sections 5.3 and 11.3.3.4.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from unrolled.errors import MetadataError
from unrolled.jobs.metadata.xmp_reading import MOST_BYTES

BEGINS = b"\x89PNG\r\n\x1a\n"
_XMP = b"XML:com.adobe.xmp\0"
_PLAIN = b"\0\0\0\0"  # not compressed, no language, no translated name
_RAW = b"Raw profile type xmp\0"


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
        If a chunk is damaged, or there is XMP twice or as ImageMagick once wrote it.
    """
    chunk = _our_chunk(list(_chunks(data)))
    if chunk is None:
        return None
    rest = chunk.content[len(_XMP) :]
    compressed, texts = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
    if len(texts) < 3:
        raise MetadataError("PNG whose XMP is damaged")
    _language, _translated, packet = texts
    return _unpacked(packet) if compressed else packet


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
        As for `read_packet`.
    """
    chunks = list(_chunks(data))
    found = _our_chunk(chunks)
    start, end = (found.start, found.end) if found else (chunks[0].end,) * 2
    body = b"iTXt" + _XMP + _PLAIN + packet
    length, crc = (n.to_bytes(4, "big") for n in (len(body) - 4, zlib.crc32(body)))
    return data[:start] + length + body + crc + data[end:]


def _our_chunk(chunks: list[_Chunk]) -> _Chunk | None:
    if any(c.kind in (b"tEXt", b"zTXt", b"iTXt") and c.content.startswith(_RAW) for c in chunks):
        raise MetadataError("its XMP is in a form that PNG has not (a raw profile)")
    ours = [c for c in chunks if c.kind == b"iTXt" and c.content.startswith(_XMP)]
    if len(ours) > 1:
        raise MetadataError("it has XMP twice")
    return ours[0] if ours else None


def _chunks(data: bytes) -> Iterator[_Chunk]:
    at = len(BEGINS)
    kind = b""
    while kind != b"IEND":
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data) or (at == len(BEGINS) and kind != b"IHDR"):
            raise MetadataError(f"PNG with a damaged chunk at byte {at:,}")
        yield _Chunk(kind, at, end, data[at + 8 : end - 4])
        at = end


def _unpacked(data: bytes) -> bytes:
    inflate = zlib.decompressobj()
    try:
        packet = inflate.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise MetadataError(f"PNG whose XMP is damaged ({error})") from error
    if not inflate.eof:
        raise MetadataError(f"PNG whose XMP is cut off, or more than {MOST_BYTES:,} bytes")
    return packet
