"""Every common kind of photo is read right; what is no photo is a clear error."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_photos import made_photo
from PIL import Image, ImageOps, features

from unrolled.data import PHOTO_SUFFIXES
from unrolled.errors import ImageError, InputError
from unrolled.vision import load_photo, photos

S = 32
# Four quadrants: red and green above, blue and grey below.
COLOURS = np.array([[[220, 30, 30], [30, 200, 30]], [[30, 30, 220], [130, 130, 130]]], np.uint8)
QUADRANTS = Image.fromarray(COLOURS.repeat(40, axis=0).repeat(60, axis=1))  # 120 x 80
GREYS = np.array([[0, 85], [170, 255]], np.uint8)
GREY_QUADRANTS = Image.fromarray(GREYS.repeat(40, axis=0).repeat(60, axis=1))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def centres(pixels: np.ndarray) -> np.ndarray:
    """The colour in the middle of each quadrant, (2, 2, 3)."""
    assert pixels.shape == (S, S, 3)
    assert pixels.dtype == np.uint8
    return pixels[S // 4 :: S // 2, S // 4 :: S // 2].astype(int)


def with_alpha() -> Image.Image:
    """Quadrants of which the right half is transparent."""
    image = QUADRANTS.convert("RGBA")
    alpha = np.full((80, 120), 255, np.uint8)
    alpha[:, 60:] = 0
    image.putalpha(Image.fromarray(alpha))
    return image


WHITE_RIGHT = COLOURS.copy()
WHITE_RIGHT[:, 1] = 255
RGB_GREYS = GREYS[..., None].repeat(3, axis=2)
GREY_RIGHT = RGB_GREYS.copy()
GREY_RIGHT[:, 1] = 255
SIXTEEN = Image.fromarray(np.asarray(GREY_QUADRANTS).astype(np.uint16) * 257)
BIG_ENDIAN = Image.fromarray((np.asarray(GREY_QUADRANTS).astype(np.uint16) * 257).astype(">u2"))
PALETTE = QUADRANTS.quantize(8)
TRUE_BLACK = np.array([[0, 0], [255, 255]], np.uint8)[..., None].repeat(3, axis=2)


def kinds() -> dict[str, tuple[bytes, np.ndarray, int]]:
    """Files by kind, with the colours they show and how far a codec may stray from them."""
    grey_alpha = Image.merge("LA", (GREY_QUADRANTS, with_alpha().getchannel("A")))
    bilevel = GREY_QUADRANTS.point(lambda value: 255 * (value > 128)).convert("1")
    second = Image.new("RGB", QUADRANTS.size, (9, 9, 9))
    found = {
        "jpeg": (saved(QUADRANTS, "JPEG", quality=95), COLOURS, 6),
        "jpeg progressive": (saved(QUADRANTS, "JPEG", quality=95, progressive=True), COLOURS, 6),
        "jpeg grey": (saved(GREY_QUADRANTS, "JPEG"), RGB_GREYS, 4),
        "jpeg cmyk": (saved(QUADRANTS.convert("CMYK"), "JPEG", quality=95), COLOURS, 8),
        "mpo": (saved(QUADRANTS, "MPO", save_all=True, append_images=[second]), COLOURS, 6),
        "png": (saved(QUADRANTS, "PNG"), COLOURS, 0),
        "png alpha": (saved(with_alpha(), "PNG"), WHITE_RIGHT, 0),
        "png grey": (saved(GREY_QUADRANTS, "PNG"), RGB_GREYS, 0),
        "png grey alpha": (saved(grey_alpha, "PNG"), GREY_RIGHT, 0),
        "png bilevel": (saved(bilevel, "PNG"), TRUE_BLACK, 0),
        "png palette": (saved(PALETTE, "PNG"), COLOURS, 4),
        "png palette alpha": (saved(with_alpha().quantize(8), "PNG"), WHITE_RIGHT, 8),
        "png colour key": (saved(QUADRANTS, "PNG", transparency=(30, 200, 30)), None, 0),
        "png 16-bit": (saved(SIXTEEN, "PNG"), RGB_GREYS, 0),
        "tiff 16-bit": (saved(SIXTEEN, "TIFF"), RGB_GREYS, 0),
        "tiff 16-bit big-endian": (saved(BIG_ENDIAN, "TIFF"), RGB_GREYS, 0),
        "pgm 16-bit": (saved(SIXTEEN, "PPM"), RGB_GREYS, 0),
        "tiff": (saved(QUADRANTS, "TIFF", compression="tiff_lzw"), COLOURS, 0),
        "tiff cmyk": (saved(QUADRANTS.convert("CMYK"), "TIFF"), COLOURS, 1),
        "gif": (saved(QUADRANTS, "GIF"), COLOURS, 2),
        "gif animated": (
            saved(QUADRANTS, "GIF", save_all=True, append_images=[second, second]),
            COLOURS,
            2,
        ),
        "png animated": (
            saved(QUADRANTS, "PNG", save_all=True, append_images=[second]),
            COLOURS,
            0,
        ),
        "webp": (saved(QUADRANTS, "WEBP", quality=95), COLOURS, 8),
        "webp alpha": (saved(with_alpha(), "WEBP", lossless=True), WHITE_RIGHT, 0),
        "webp animated": (
            saved(QUADRANTS, "WEBP", save_all=True, append_images=[second], lossless=True),
            COLOURS,
            1,
        ),
        "bmp": (saved(QUADRANTS, "BMP"), COLOURS, 0),
        "ppm": (saved(QUADRANTS, "PPM"), COLOURS, 0),
    }
    key = COLOURS.copy()
    key[0, 1] = 255  # green is the transparent colour
    found["png colour key"] = (found["png colour key"][0], key, 0)
    if "avif" in features.get_supported():
        found["avif"] = (saved(QUADRANTS, "AVIF", quality=95), COLOURS, 8)
    if "jpg_2000" in features.get_supported():
        found["jpeg 2000"] = (saved(QUADRANTS, "JPEG2000"), COLOURS, 1)
    return found


KINDS = kinds()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_its_colours(kind: str) -> None:
    data, colours, tolerance = KINDS[kind]
    np.testing.assert_allclose(centres(load_photo(data, S)), colours.astype(int), atol=tolerance)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(kind: str, orientation: int) -> None:
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # the viewer turns it back by 270
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = QUADRANTS if stored is None else QUADRANTS.transpose(stored)
    data = saved(turned, kind, exif=exif.tobytes() if kind != "TIFF" else exif)
    np.testing.assert_allclose(centres(load_photo(data, S)), COLOURS.astype(int), atol=14)


def test_sixteen_bit_photos_are_turned_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    data = saved(SIXTEEN, "PNG", exif=exif)
    assert np.array_equal(centres(load_photo(data, S)), RGB_GREYS[::-1, ::-1])


def test_a_photo_of_the_right_size_keeps_its_pixels() -> None:
    image = made_photo(0, 224, 224)
    assert np.array_equal(load_photo(saved(image, "PNG"), 224), np.asarray(image))
    data = saved(image, "JPEG")
    assert np.array_equal(load_photo(data, 224), np.asarray(Image.open(io.BytesIO(data))))


def test_the_whole_photo_is_squashed() -> None:
    """Not cropped: a stripe on each edge is still there; and by the filter that is recorded."""
    pixels = np.zeros((100, 400, 3), np.uint8)
    pixels[:, :40, 0] = pixels[:, -40:, 1] = 255
    pixels[:10, :, 2] = 255
    result = load_photo(saved(Image.fromarray(pixels), "PNG"), 40)
    assert result[20, 0].tolist() == [255, 0, 0]
    assert result[20, 39].tolist() == [0, 255, 0]
    assert result[0, 20].tolist() == [0, 0, 255]
    expected = Image.fromarray(pixels).resize((40, 40), Image.Resampling.BICUBIC)
    assert np.array_equal(result, np.asarray(expected))
    assert photos.RESAMPLING.startswith("bicubic")


@pytest.mark.parametrize(
    ("side", "shape"), [(30, (20, 30, 3)), (500, (80, 120, 3)), (1, (1, 1, 3))]
)
def test_a_thumbnail_keeps_the_photos_shape(side: int, shape: tuple[int, int, int]) -> None:
    pixels = photos.load_thumbnail(saved(QUADRANTS, "PNG"), side)
    assert (pixels.shape, pixels.dtype) == (shape, np.uint8)
    if side > 1:
        quarter = pixels[shape[0] // 4 :: shape[0] // 2, shape[1] // 4 :: shape[1] // 2]
        np.testing.assert_allclose(quarter.astype(int), COLOURS, atol=3)


def test_a_thumbnail_is_upright_and_on_white() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    assert photos.load_thumbnail(saved(QUADRANTS, "JPEG", exif=turned), 30).shape == (30, 20, 3)
    clear = Image.new("RGBA", (8, 4), (10, 20, 30, 0))
    assert (photos.load_thumbnail(saved(clear, "PNG"), 8) == 255).all()
    with pytest.raises(ImageError, match="not an image that can be read"):
        photos.load_thumbnail(b"no photo", 8)
    with pytest.raises(InputError, match="side must be at least 1"):
        photos.load_thumbnail(saved(QUADRANTS, "PNG"), 0)


def test_large_jpegs_decoded_small_look_the_same() -> None:
    image = made_photo(3, 1900, 1300)
    data = saved(image, "JPEG", quality=90)
    fast = load_photo(data, 224).astype(int)
    full = Image.open(io.BytesIO(data)).resize((224, 224), Image.Resampling.BICUBIC)
    assert 0 < np.abs(fast - np.asarray(full).astype(int)).mean() < 0.4


def test_path_string_and_bytes_are_the_same(tmp_path: Path) -> None:
    data = KINDS["jpeg"][0]
    path = tmp_path / "ünïcode photo.jpg"
    path.write_bytes(data)
    expected = load_photo(data, S)
    assert np.array_equal(load_photo(path, S), expected)
    assert np.array_equal(load_photo(str(path), S), expected)
    misnamed = tmp_path / "photo.png"
    misnamed.write_bytes(data)
    assert np.array_equal(load_photo(misnamed, S), expected)


@pytest.mark.parametrize("suffix", sorted(PHOTO_SUFFIXES))
def test_every_suffix_that_is_looked_for_can_be_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    QUADRANTS.save(path)  # Pillow takes the format from the suffix
    np.testing.assert_allclose(centres(load_photo(path, S)), COLOURS.astype(int), atol=40)


def test_the_suffixes_of_cameras_and_screens_are_looked_for() -> None:
    assert {".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp"} <= PHOTO_SUFFIXES


# What is no photo


def message(source: Path | bytes, **options: int) -> str:
    with pytest.raises(ImageError) as caught:
        load_photo(source, S, **options)
    return str(caught.value)


def test_a_truncated_jpeg_says_where_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(saved(made_photo(1, 800, 600), "JPEG", quality=95)[:41_216])
    assert message(path) == (
        f"{path}: not an image that can be read (truncated JPEG after 41,216 bytes)."
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_photos_are_errors(kind: str, share: float) -> None:
    data = KINDS[kind][0]
    if "animated" in kind or kind == "mpo":
        share /= 4  # the first frame is what must be there
    assert "not an image that can be read (" in message(data[: int(share * (len(data) - 40))])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "(empty file)"),
        (b"\xff\xd8\xff", "(damaged or truncated JPEG, 3 bytes)"),
        (b"A dog runs on the beach.\n" * 40, "(no image format known here, 1,000 bytes)"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "(no image format known here"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "(no image format known here"),
        (b"PK\x03\x04" + bytes(100), "(no image format known here"),
    ],
)
def test_files_that_are_no_photos(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    assert message(path).startswith(f"{path}: not an image that can be read {reason}")


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    assert message(tmp_path) == f"{tmp_path}: a folder, where a photo was expected."
    assert message(tmp_path / "gone.jpg") == f"{tmp_path / 'gone.jpg'}: no such file."
    assert "cannot be opened" in message(Path("a\0b.jpg"))
    (tmp_path / "file").write_text("")
    assert "cannot be opened" in message(tmp_path / "file" / "x.jpg")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this platform")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert message(tmp_path / "pipe.jpg").endswith("not a regular file.")


def test_a_file_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "MAX_BYTES", 1000)
    path = tmp_path / "long.png"
    path.write_bytes(bytes(1001))
    assert "a file of 1,001 bytes; photos of up to 1,000 bytes are read" in message(path)


def png_claiming(width: int, height: int) -> bytes:
    """A small PNG file whose header claims a size, with pixels that would unpack to it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20), 9) * 4
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("side", [10_955, 12_000, 13_000, 14_000, 60_000, 2**31 - 1])
@pytest.mark.parametrize("action", ["error", "always"])
def test_decompression_bombs_are_refused_before_they_go_off(side: int, action: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action)
        text = message(png_claiming(side, side))
    assert "more" in text
    assert f"{photos.MAX_PIXELS:,}" in text
    assert caught == []


def test_pixels_may_be_bounded_lower() -> None:
    data = KINDS["png"][0]
    assert load_photo(data, S, max_pixels=120 * 80).shape == (S, S, 3)
    assert "120 x 80 pixels, more than the 9,599" in message(data, max_pixels=120 * 80 - 1)


def test_ranges_that_are_not_known_are_refused() -> None:
    deep = Image.fromarray(np.full((4, 4), 70_000, np.int32))
    negative = Image.fromarray(np.full((4, 4), -1, np.int32))
    real = Image.fromarray(np.full((4, 4), 0.5, np.float32))
    for image in (deep, negative):
        assert "32-bit grey, whose range is not known" in message(saved(image, "TIFF"))
    assert "floating-point pixels" in message(saved(real, "TIFF"))


def corrupt_exif() -> bytes:
    """A JPEG whose EXIF block makes Pillow warn."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
    return saved(QUADRANTS, "JPEG", exif=exif + b"\x01\x0f\0\x02\xff\xff\xff\xff\0\0\xff\xff")


def test_no_warning_leaks() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Image.open(io.BytesIO(corrupt_exif())).getexif()
        assert caught, "Pillow itself must warn, or the test proves nothing"
        caught.clear()
        load_photo(corrupt_exif(), S)
        for data, _, _ in KINDS.values():
            load_photo(data, S)
    assert caught == []


def test_corrupt_metadata_does_not_stop_a_photo() -> None:
    for exif in (b"Exif\0\0garbage", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0"):
        pixels = load_photo(saved(QUADRANTS, "JPEG", quality=95, exif=exif), S)
        np.testing.assert_allclose(centres(pixels), COLOURS.astype(int), atol=6)


def test_the_state_of_the_process_is_left_alone() -> None:
    before = (list(warnings.filters), Image.MAX_IMAGE_PIXELS)
    load_photo(corrupt_exif(), S)
    message(b"no photo")
    assert before == (list(warnings.filters), Image.MAX_IMAGE_PIXELS)


def test_a_size_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1 pixel, got 0"):
        load_photo(KINDS["png"][0], 0)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.floats(0.05, 1),
)
def test_damage_never_escapes(kind: str, flips: list[tuple[float, int]], keep: float) -> None:
    data = bytearray(KINDS[kind][0])
    data = data[: max(1, int(keep * len(data)))]
    for place, value in flips:
        # Headers and tables are at the front: damage falls there more often than in the pixels.
        data[int(place**3 * (len(data) - 1))] = value
    try:
        pixels = load_photo(bytes(data), S, max_pixels=4_000_000)
    except ImageError:
        return
    assert pixels.shape == (S, S, 3)
    assert pixels.dtype == np.uint8


def test_turning_after_squashing_equals_turning_before() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = made_photo(5, 300, 200)
    squashed = load_photo(saved(image, "PNG", exif=exif), 50).astype(int)
    marked = Image.open(io.BytesIO(saved(image, "PNG", exif=exif)))
    before = ImageOps.exif_transpose(marked).resize((50, 50), Image.Resampling.BICUBIC)
    assert np.abs(squashed - np.asarray(before).astype(int)).max() <= 2
