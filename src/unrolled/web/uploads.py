"""Photos out of a request's body, which is read no further than its limits and kept in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from unrolled.web.problems import Problem
from unrolled.web.settings import Settings

_HEADER_BYTES = 8 << 10
_PARTS_BESIDE_PHOTOS = 16
_LONGEST_NAME = 255
_TYPES = "multipart/form-data with files, or one photo as image/* or application/octet-stream"


class Photo(NamedTuple):
    """A photo as it came."""

    name: str
    content: bytes


class Room:
    """The memory that all requests' photos together may take.

    Parameters
    ----------
    most : int
        Bytes.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """Give one request a place, which is free again when the request ends.

        Yields
        ------
        Place
        """
        place = Place(self)
        try:
            yield place
        finally:
            self._left += place.taken

    def take(self, count: int) -> None:
        """Take bytes from what is left.

        Parameters
        ----------
        count : int

        Raises
        ------
        Problem
            ``busy`` where there is not so much left.
        """
        if count > self._left:
            raise Problem("busy", "Many photos are being sent already. Try again in a moment.")
        self._left -= count


class Place:
    """What one request holds of the room.

    Parameters
    ----------
    room : Room
    """

    def __init__(self, room: Room) -> None:
        self._room, self.taken = room, 0

    def take(self, count: int) -> None:
        """Hold so many bytes more.

        Parameters
        ----------
        count : int
        """
        self._room.take(count)
        self.taken += count


async def read_photos(request: Request, settings: Settings, place: Place) -> list[Photo]:
    """Read a request's photos.

    Parameters
    ----------
    request : Request
    settings : Settings
    place : Place
        Which holds them.

    Returns
    -------
    list of Photo

    Raises
    ------
    Problem
        If there are none, too many or too large ones, or they do not come in time.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    read = _read(_Body(request, place), kind.lower(), options, settings)
    try:
        return await asyncio.wait_for(read, settings.seconds)
    except asyncio.TimeoutError:
        raise Problem(
            "too_slow", f"The photos did not arrive within {settings.seconds} seconds."
        ) from None


async def _read(
    body: _Body, kind: bytes, options: dict[bytes, bytes], settings: Settings
) -> list[Photo]:
    if kind == b"multipart/form-data" and options.get(b"boundary"):
        try:
            form = _Form(options[b"boundary"], settings)
            async for chunk in body.chunks(settings.request_bytes, "request_too_large"):
                form.write(chunk)
            form.end()
        except FormParserError as error:
            raise Problem("bad_request", f"The form cannot be read: {error}.") from error
        if not form.photos:
            raise Problem("no_photo", "There is no photo in the form; send one or more files.")
        return [Photo(part.name, bytes(part.content)) for part in form.photos]
    if kind.startswith(b"image/") or kind == b"application/octet-stream":
        chunks = body.chunks(settings.photo_bytes, "photo_too_large")
        content = b"".join([chunk async for chunk in chunks])
        if not content:
            raise Problem("no_photo", "There is no photo in the request; send its bytes.")
        return [Photo("", content)]
    raise Problem("wrong_type", f"Send {_TYPES}.")


class _Body:
    """A request's body, piece by piece."""

    def __init__(self, request: Request, place: Place) -> None:
        self._request, self._place = request, place
        self._ended = False

    async def chunks(self, most: int, code: str) -> AsyncIterator[bytes]:
        """Give the pieces; a body that is too long is refused, where it says so before it comes."""
        told = self._request.headers.get("content-length", "")
        _check_length(int(told) if told.isdecimal() else 0, most, code)
        read = 0
        while not self._ended:
            chunk = await self._next()
            read += len(chunk)
            _check_length(read, most, code)
            self._place.take(len(chunk))
            yield chunk

    async def _next(self) -> bytes:
        message = await self._request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._ended = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk


def _check_length(length: int, most: int, code: str) -> None:
    if length > most:
        what = "photo" if code == "photo_too_large" else "request"
        raise Problem(code, f"The {what} is larger than the {most:,} bytes that are taken.")


class _Part:
    """One part of a form, as its bytes come."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.header_bytes = 0
        self.field, self.value = bytearray(), bytearray()
        self.is_file, self.name = False, ""
        self.content = bytearray()


class _Form:
    """Keeps a form's files, and passes over its other fields."""

    def __init__(self, boundary: bytes, settings: Settings) -> None:
        self._settings = settings
        self._part = _Part()
        self._beside = 0
        self._ended = False
        self.photos: list[_Part] = []
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header("field", data[start:end]),
            "on_header_value": lambda data, start, end: self._header("value", data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._data,
            "on_end": self._finish,
        }
        self._parser = MultipartParser(boundary, callbacks)

    def write(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def end(self) -> None:
        self._parser.finalize()
        if not self._ended:
            raise Problem("bad_request", "The form ends before its last boundary.")

    def _finish(self) -> None:
        self._ended = True

    def _begin(self) -> None:
        self._part = _Part()

    def _header(self, which: str, data: bytes) -> None:
        self._part.header_bytes += len(data)
        if self._part.header_bytes > _HEADER_BYTES:
            raise Problem("bad_request", "A part of the form has too long a header.")
        getattr(self._part, which).extend(data)

    def _end_header(self) -> None:
        part = self._part
        part.headers[bytes(part.field).lower()] = bytes(part.value)
        part.field.clear()
        part.value.clear()

    def _end_headers(self) -> None:
        part = self._part
        _, options = parse_options_header(part.headers.get(b"content-disposition", b""))
        name = options.get(b"filename")
        if name is None:
            self._beside += 1
            if self._beside > _PARTS_BESIDE_PHOTOS:
                raise Problem("bad_request", "The form has too many fields that are no photos.")
            return
        part.is_file, part.name = True, name.decode("utf-8", "replace")[:_LONGEST_NAME]
        self.photos.append(part)
        if len(self.photos) > self._settings.request_photos:
            raise Problem(
                "too_many_photos",
                f"More than {self._settings.request_photos} photos in one request; send fewer.",
            )

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file:
            self._part.content += data[start:end]
            _check_length(len(self._part.content), self._settings.photo_bytes, "photo_too_large")
