"""Alt text written to a photo, or to a file beside it."""

from __future__ import annotations

import enum
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

from unrolled.errors import DataError, MetadataError
from unrolled.jobs.metadata import jpeg, png, webp
from unrolled.jobs.metadata.xmp import Packet, clean
from unrolled.jobs.metadata.xmp_reading import MOST_BYTES
from unrolled.jobs.whole_files import FileState, read_with_state, replace_file
from unrolled.vision.photos import MAX_BYTES, known_formats, quietly

_EXIF_DESCRIPTION = 270
_IPTC_CAPTION = (2, 120)
_IN_PNG = (b"eXIf", b"Description", b"Raw profile type")


class Wrote(enum.IntEnum):
    """What came of writing an alt text."""

    NOTHING = 0
    """There is another, which has been left alone."""
    IT = 1
    """It stands there, now or already."""
    BESIDE_ANOTHER = 2
    """It stands there, and another in the other place: in the photo, or in its sidecar."""


def sidecar_of(path: str) -> str:
    """Name the file beside a photo that says things about it: ``photo.jpg.xmp``.

    So darktable and digiKam name it, and all that read a sidecar of a JPEG look there. Adobe's
    ``photo.xmp`` may be a raw file's of the same name, and is left alone.

    Parameters
    ----------
    path : str

    Returns
    -------
    str
    """
    return f"{path}.xmp"


def write_sidecar(path: str, text: str, overwrite: bool = False) -> Wrote:
    """Write a photo's alt text to its sidecar, and its description if it has none.

    Parameters
    ----------
    path : str
        The photo's, which is not touched.
    text : str
    overwrite : bool
        Also where there is an alt text, in the sidecar or in the photo.

    Returns
    -------
    Wrote
        False, as a condition, where another alt text has been left alone.

    Raises
    ------
    MetadataError
        If the sidecar cannot be read or written, or changes meanwhile.
    """
    place = sidecar_of(path)
    data, _ = _read(path)
    inside, described = _inside(data)
    state = None
    try:
        packet = Packet.empty()
        if os.path.lexists(place):
            there, state = _read(place, MOST_BYTES)
            packet = Packet(there)
        elsewhere = inside.alt_text if inside else ""
        said = packet.alt_text or elsewhere
        if said and not overwrite and (packet.alt_text or said != clean(text)):
            return Wrote(said == clean(text))
        new = packet.with_alt_text(text, describe=not described)
    except MetadataError as error:
        raise _about(place, error) from error
    _replace(place, new, state, keep_times=False)
    return _beside(elsewhere, text)


def write_photo(path: str, text: str, overwrite: bool = False) -> Wrote:
    """Write a photo's alt text into it, and its description if it has none.

    Its pixels and all else in it stay byte for byte, and it keeps its mode and its time.

    Parameters
    ----------
    path : str
        A JPEG, PNG or WebP.
    text : str
    overwrite : bool
        Also where there is an alt text, in the photo or in its sidecar.

    Returns
    -------
    Wrote
        False, as a condition, where another alt text has been left alone.

    Raises
    ------
    MetadataError
        If it is of another kind, damaged, has metadata that cannot be added to, cannot be written,
        or changes meanwhile.
    """
    data, state = _read(path)
    container = _container(data)
    if container is None:
        raise MetadataError(
            f"{path}: alt text is written into JPEG, PNG and WebP alone; use --sidecar for others"
        )
    try:
        there = container.read_packet(data)
        packet = Packet.empty() if there is None else Packet(there)
        elsewhere = _said_beside(path)
        said = packet.alt_text or elsewhere
        if said and not overwrite and (packet.alt_text or said != clean(text)):
            return Wrote(said == clean(text))
        described = packet.described or _described_elsewhere(data)
        new = container.write_packet(data, packet.with_alt_text(text, describe=not described))
    except MetadataError as error:
        raise _about(path, error, "; use --sidecar for it") from error
    _replace(path, new, state, keep_times=True)
    return _beside(elsewhere, text)


PLACES: Mapping[str, Callable[[str, str, bool], Wrote]] = {
    "sidecar": write_sidecar,
    "photo": write_photo,
}
"""Where alt text is written, by what a journal calls it."""


def _beside(other: str, text: str) -> Wrote:
    return Wrote.IT if other in ("", clean(text)) else Wrote.BESIDE_ANOTHER


def _inside(data: bytes) -> tuple[Packet | None, bool]:
    """Give a photo's own packet, and whether it says in any way what is on the photo."""
    container = _container(data)
    try:
        there = None if container is None else container.read_packet(data)
        packet = None if there is None else Packet(there)
    except MetadataError:  # damaged: who knows what it says
        return None, True
    return packet, bool(packet and packet.described) or _described_elsewhere(data)


def _said_beside(path: str) -> str:
    """Give the alt text of a photo's sidecar, if there is one that can be read."""
    try:
        data, _ = _read(sidecar_of(path), MOST_BYTES)
        return Packet(data).alt_text
    except MetadataError:
        return ""


def _container(data: bytes) -> ModuleType | None:
    """Tell by its first bytes which format a photo has."""
    if data.startswith(webp.BEGINS) and data[8:12] == webp.KIND:
        return webp
    return next((each for each in (jpeg, png) if data.startswith(each.BEGINS)), None)


def _described_elsewhere(data: bytes) -> bool:
    """Whether EXIF or the older IPTC say what is on a photo: a description in XMP would hide it."""
    if data.startswith(png.BEGINS) and not any(each in data for each in _IN_PNG):
        return False  # Pillow would decode the picture to look behind it
    from PIL import Image, IptcImagePlugin

    try:
        with quietly(), Image.open(io.BytesIO(data), formats=known_formats()) as image:
            said = [image.info.get("Description"), image.getexif().get(_EXIF_DESCRIPTION)]
            said.append((IptcImagePlugin.getiptcinfo(image) or {}).get(_IPTC_CAPTION))
    except Exception:  # damaged metadata raises nearly anything, and may say something
        return True
    texts = (each if isinstance(each, bytes) else str(each or "").encode() for each in said)
    return any(text.strip(b" \0\t\r\n") for text in texts)


def _read(path: str, most: int = MAX_BYTES) -> tuple[bytes, FileState]:
    try:
        return read_with_state(path, most)
    except DataError as error:
        raise MetadataError(str(error)) from error


def _replace(path: str, data: bytes, state: FileState | None, *, keep_times: bool) -> None:
    try:
        replace_file(Path(path), data, keep_times=keep_times, read=state)
    except DataError as error:
        raise MetadataError(str(error)) from error
    except OSError as error:
        raise MetadataError(f"{path}: cannot be written ({error.strerror})") from error


def _about(path: str, error: MetadataError, hint: str = "") -> MetadataError:
    message = str(error)
    return error if message.startswith(f"{path}: ") else MetadataError(f"{path}: {message}{hint}")
