"""Frames between the service and its worker: a JSON header, and bytes behind it. No pickle."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

if TYPE_CHECKING:
    import asyncio

_LENGTHS = struct.Struct("<II")

Header: TypeAlias = dict[str, Any]


def pack(header: Header, body: bytes = b"") -> bytes:
    """Make a frame.

    Parameters
    ----------
    header : dict
        That JSON can hold.
    body : bytes

    Returns
    -------
    bytes
    """
    head = json.dumps(header).encode("ascii")
    return b"".join((_LENGTHS.pack(len(head), len(body)), head, body))


def read(stream: BinaryIO) -> tuple[Header, bytes] | None:
    """Read a frame, waiting for it.

    Parameters
    ----------
    stream : binary file

    Returns
    -------
    header, body
        Or None where the stream has ended, be it within a frame.
    """
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head, body = _LENGTHS.unpack(lengths)
    text, rest = stream.read(head), stream.read(body)
    return (json.loads(text), rest) if len(text) == head and len(rest) == body else None


async def receive(stream: asyncio.StreamReader) -> Header:
    """Read a frame's header from a worker, which sends no bytes behind it.

    Parameters
    ----------
    stream : asyncio.StreamReader

    Returns
    -------
    dict

    Raises
    ------
    asyncio.IncompleteReadError
        Where the stream has ended.
    """
    head, _ = _LENGTHS.unpack(await stream.readexactly(_LENGTHS.size))
    header: Header = json.loads(await stream.readexactly(head))
    return header
