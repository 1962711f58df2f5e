"""Photos of every kind that XMP is written into, with and without what else they may hold."""

from __future__ import annotations

import io

from PIL import Image, PngImagePlugin

from unrolled.jobs.metadata.xmp import Packet

EMPTY = Packet.empty().with_alt_text("", describe=False)


def encoded(kind, mode="RGB", size=(9, 7), **options):
    file = io.BytesIO()
    image = Image.effect_mandelbrot(size, (-2, -1, 1, 1), 50).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(size))
    image.save(file, kind, **options)
    return file.getvalue()


def exif(**said):
    data = Image.Exif()
    data[0x0112] = 6  # turned
    for tag, value in said.items():
        data[int(tag[1:])] = value
    return data.tobytes()


def text_chunks(**said):
    info = PngImagePlugin.PngInfo()
    for key, value in said.items():
        info.add_text(key, value)
    return info


ICC = bytes(range(256)) * 3
SAMPLES = {
    "plain.jpg": encoded("JPEG"),
    "grey progressive.jpg": encoded("JPEG", "L", progressive=True),
    "all.jpg": encoded("JPEG", exif=exif(), icc_profile=ICC, comment=b"by hand", dpi=(72, 72)),
    "xmp.jpg": encoded("JPEG", exif=exif(), xmp=EMPTY),
    "trailer.jpg": encoded("JPEG") + b"\0SAMSUNG trailer \xff\xd8\xff\xd9",
    "fill.jpg": encoded("JPEG").replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1),
    "plain.png": encoded("PNG"),
    "palette.png": encoded("PNG", "P"),
    "all.png": encoded("PNG", "RGBA", exif=exif(), icc_profile=ICC, pnginfo=text_chunks(Title="t")),
    "plain.webp": encoded("WEBP"),
    "lossless.webp": encoded("WEBP", "RGBA", lossless=True, exact=True),
    "alpha.webp": encoded("WEBP", "RGBA"),
    "all.webp": encoded("WEBP", exif=exif(), icc_profile=ICC),
    "xmp.webp": encoded("WEBP", xmp=EMPTY),
    "trailer.webp": encoded("WEBP") + b"more",
}
