"""Decode a photo of any common kind into a square of RGB pixels.

The photo is squashed: its aspect ratio is not kept, so that nothing of it is lost. Alpha is laid
over white, an animation gives its first frame, EXIF's orientation is followed, 16-bit grey is
scaled to 8 bits. Colour profiles are not applied.
"""

from __future__ import annotations

import io
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from unrolled.errors import ImageError, InputError

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "RESAMPLING",
    "known_formats",
    "load_photo",
    "load_squares",
    "load_thumbnail",
    "quietly",
]

MAX_PIXELS = 120_000_000
"""Width times height beyond which a photo is refused: 120 megapixels take 480 MB to decode."""

MAX_BYTES = 256 << 20
"""Length in bytes beyond which a file is refused."""

RESAMPLING = "bicubic, antialiased"
"""How photos are resized, as an encoder's identity records it."""

# Not every format that Pillow knows: EPS runs Ghostscript, and the rarer ones are rarely fuzzed.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF", "JPEG2000")
_PAPER = (255, 255, 255)
_DRAFT_FACTOR = 2

Loaded = TypeVar("Loaded")

_warnings_lock = threading.Lock()


@contextmanager
def quietly() -> Iterator[None]:
    """Keep Pillow's warnings about odd metadata from the user's terminal.

    The list of warning filters belongs to the process, so only short work is done in here, one
    thread at a time: parsing headers and EXIF, never pixels.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _read(path: Path) -> bytes:
    """Read a regular file of bounded size."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{path}: a folder, where a photo was expected.")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{path}: not a regular file.")
        if status.st_size > MAX_BYTES:
            raise ImageError(
                f"{path}: a file of {status.st_size:,} bytes; photos of up to {MAX_BYTES:,} "
                "bytes are read."
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ImageError(f"{path}: cannot be opened ({reason}).") from error


def _kind(data: bytes) -> str | None:
    """Name the format whose signature the bytes begin with."""
    for name in known_formats():
        accept = Image.OPEN[name][1]
        if accept is not None and accept(data[:16]):
            return name
    return None


def known_formats() -> list[str]:
    """Name the formats that are read, as Pillow calls them.

    Returns
    -------
    list of str
    """
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _open(data: bytes, name: str, max_pixels: int) -> Image.Image:
    """Parse the header, and refuse what is no image or would take too much memory."""
    if not data:
        raise ImageError(f"{name}: not an image that can be read (empty file).")
    try:
        with quietly():
            image = Image.open(io.BytesIO(data), formats=known_formats())
    except Image.DecompressionBombError:
        raise ImageError(
            f"{name}: more pixels than the {max_pixels:,} that are decoded; make it smaller."
        ) from None
    except Exception as error:  # damaged bytes make the decoders raise nearly anything
        kind = _kind(data)
        reason = f"damaged or truncated {kind}" if kind else "no image format known here"
        raise ImageError(
            f"{name}: not an image that can be read ({reason}, {len(data):,} bytes)."
        ) from error
    width, height = image.size
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width} x {height} pixels, more than the {max_pixels:,} that are decoded; "
            "make it smaller."
        )
    return image


def _eight_bit_grey(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion would clip it."""
    pixels = np.asarray(image)
    if pixels.size and (pixels.min() < 0 or pixels.max() > 65535):
        raise ValueError("32-bit grey, whose range is not known")
    grey = Image.fromarray(((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))
    grey.info.update(image.info)  # its EXIF, for the orientation
    return grey


def _plain(image: Image.Image) -> Image.Image:
    """Convert to one of the modes that resize well: L, RGB or RGBA."""
    if image.mode.startswith("I"):
        return _eight_bit_grey(image)
    if image.mode == "F":
        raise ValueError("floating-point pixels, whose range is not known")
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
    """Follow EXIF's orientation; metadata that cannot be parsed does not stop the photo."""
    try:
        with quietly():
            if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
                return image  # not a copy of it
            return ImageOps.exif_transpose(image)
    except Exception:  # damaged metadata raises nearly anything
        return image


def _decode(image: Image.Image, detail: int) -> Image.Image:
    """Decode the pixels, with no more detail than a square of that side needs."""
    # JPEG can be decoded at a half, a quarter or an eighth, at a fraction of the time; twice the
    # wanted size is kept so that the resizing filter still has the last word.
    image.draft(None, (_DRAFT_FACTOR * detail, _DRAFT_FACTOR * detail))
    image.load()
    return _plain(image)


def _squash(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Bring a decoded image to a square of RGB."""
    square = image
    if square.size != (size, size):
        square = square.resize((size, size), Image.Resampling.BICUBIC)
    # Once the photo is a square, turning it is the same before and after, but much less work.
    return _pixels(_upright(square))


def _shrink(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """Bring a decoded image into a square without changing its shape; a small one stays."""
    scale = min(side / max(image.size), 1)
    width, height = (max(round(scale * length), 1) for length in image.size)
    return _pixels(_upright(image.resize((width, height), Image.Resampling.BICUBIC)))


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Lay an image over white, as RGB."""
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, _PAPER), image)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"), dtype=np.uint8)


def _damage(error: Exception, kind: str, length: int) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    text = str(error).rstrip(".") or type(error).__name__
    if "truncated" in text.lower():
        return f"truncated {kind} after {length:,} bytes"
    return f"{kind}: {text}"


def load_squares(
    source: str | os.PathLike[str] | bytes,
    sizes: Sequence[int],
    *,
    detail: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> tuple[NDArray[np.uint8], ...]:
    """Decode a photo once and squash it to squares of RGB pixels of several sizes.

    Parameters
    ----------
    source : path or bytes
        A file, or a whole file's content.
    sizes : sequence of int
        Sides of the squares in pixels.
    detail : int, optional
        The side that the photo is decoded for: a large JPEG is decoded at a half, a quarter or an
        eighth of its size where that leaves twice as many pixels. The largest of ``sizes`` unless
        given.
    max_pixels : int
        Width times height beyond which the photo is refused before it is decoded.

    Returns
    -------
    tuple of ndarray of uint8, (size, size, 3) for each of ``sizes``
        Rows from the top, columns from the left, then red, green, blue.

    Raises
    ------
    ImageError
        The file is missing, not an image, damaged, truncated or too large.
    InputError
        A size is not positive, or there is none.
    """
    if not sizes or min(sizes) < 1:
        raise InputError(f"load_squares: sizes must be at least 1 pixel, got {list(sizes)}")
    return _load(
        source,
        detail or max(sizes),
        max_pixels,
        lambda decoded: tuple(_squash(decoded, size) for size in sizes),
    )


def load_thumbnail(
    source: str | os.PathLike[str] | bytes, side: int, *, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Decode a photo and shrink it, in its own shape, to be looked at.

    Parameters
    ----------
    source : path or bytes
        A file, or a whole file's content.
    side : int
        Of a square in pixels that it is to fit into; a smaller photo is left as it is.
    max_pixels : int
        Width times height beyond which the photo is refused before it is decoded.

    Returns
    -------
    ndarray of uint8, (height, width, 3)

    Raises
    ------
    ImageError
        The file is missing, not an image, damaged, truncated or too large.
    InputError
        ``side`` is not positive.
    """
    if side < 1:
        raise InputError(f"load_thumbnail: side must be at least 1 pixel, got {side}")
    return _load(source, side, max_pixels, lambda decoded: _shrink(decoded, side))


def _load(
    source: str | os.PathLike[str] | bytes,
    detail: int,
    max_pixels: int,
    use: Callable[[Image.Image], Loaded],
) -> Loaded:
    """Read and decode a photo, and make something of it; what goes wrong is the photo's fault."""
    if isinstance(source, bytes):
        data, name = source, "photo"
    else:
        data, name = _read(Path(source)), os.fspath(source)
    image = _open(data, name, max_pixels)
    kind = image.format or "image"
    try:
        with image:
            return use(_decode(image, detail))
    except Exception as error:  # damaged bytes make the decoders raise nearly anything
        reason = _damage(error, kind, len(data))
        raise ImageError(f"{name}: not an image that can be read ({reason}).") from error


def load_photo(
    source: str | os.PathLike[str] | bytes, size: int, *, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Decode a photo and squash it to a square of RGB pixels.

    Parameters
    ----------
    source : path or bytes
        A file, or a whole file's content.
    size : int
        Side of the square in pixels.
    max_pixels : int
        Width times height beyond which the photo is refused before it is decoded.

    Returns
    -------
    ndarray of uint8, (size, size, 3)
        Rows from the top, columns from the left, then red, green, blue.

    Raises
    ------
    ImageError
        The file is missing, not an image, damaged, truncated or too large.
    InputError
        ``size`` is not positive.
    """
    if size < 1:
        raise InputError(f"load_photo: size must be at least 1 pixel, got {size}")
    return load_squares(source, (size,), max_pixels=max_pixels)[0]
