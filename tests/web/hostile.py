"""Requests that nobody should send, drawn from a seed."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

from PIL import Image, features

from services import form

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000")
if "avif" in features.get_supported():  # not in every Pillow that is allowed
    FORMATS += ("AVIF",)
KINDS = ("image/jpeg", "image/png", "image/x-nothing", "application/octet-stream", "IMAGE/JPEG")
WRONG_KINDS = (
    *("", "text/html", "application/json", "multipart/form-data", "multipart/mixed; boundary=b"),
    *("multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 5000, "image"),
    *("multipart/form-data; boundary=\x7f\x01", "; ; ;", "application/x-www-form-urlencoded"),
)
NAMES = (
    *("../../etc/passwd", "a" * 3000, "", ".", "photo\x00.jpg", "名字.jpg", "<script>.png"),
    *("'; DROP TABLE photos; --", "\u202egnp.jpg", "CON", "a/b\\c", "%s%n%x", '"quoted".gif'),
)
OPTIONS = (
    *("beam=0", "beam=21", "beam=1e3", "beam=-1", "beam=&beam=2", "sample=maybe", "n_best=99"),
    *("temperature=nan", "temperature=inf", "temperature=-1", "top_p=0", "top_p=1e-300"),
    *("seed=99999999999999999999", "max_length=0", "min_length=50&max_length=1", "details=2"),
    *(
        "sample=1&temperature=0.05",
        "beam=20&details=1",
        "beam=1&max_length=1",
        "%00=%ff",
        "a" * 900,
    ),
    *("consensus=1&beam=8", "sample=true&top_p=0.01&seed=1", "prefix=x", "?", "&&&", "beam[]=2"),
)
FIELD = b"--a-boundary-that-no-photo-has\r\nContent-Disposition: form-data; name=x\r\n\r\ny\r\n"


class Request(NamedTuple):
    """What is sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def photo(rng: random.Random) -> tuple[str, bytes]:
    """Write a small good photo in some format."""
    name = rng.choice(FORMATS)
    size = rng.randint(1, 90), rng.randint(1, 90)
    mode = rng.choice(["RGB", "L", "RGBA", "P", "1", "CMYK", "I;16"])
    image, file = Image.new(mode, size, rng.randrange(2)), io.BytesIO()
    try:
        image.save(file, name)
    except (OSError, ValueError):
        file = io.BytesIO()
        image.convert("RGB").save(file, name)
    return name, file.getvalue()


def truncated(rng: random.Random) -> bytes:
    content = photo(rng)[1]
    return content[: rng.randrange(len(content) + 1)]


def corrupt(rng: random.Random) -> bytes:
    content = bytearray(photo(rng)[1])
    for _ in range(rng.randint(1, 20)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content)


def spliced(rng: random.Random) -> bytes:
    one, other = photo(rng)[1], photo(rng)[1]
    return one[: rng.randrange(len(one))] + other[rng.randrange(len(other)) :]


def noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.choice([1, 10, 1000, 50_000]))


def polyglot(rng: random.Random) -> bytes:
    tail = rng.choice(
        [b"<html><script>alert(1)</script>", b"PK\x03\x04", b"%PDF-1.7", b"MZ", b"#!/bin/sh"]
    )
    content = photo(rng)[1]
    return rng.choice([content + tail * 50, tail + content])


def bomb(rng: random.Random) -> bytes:
    """Write the header of 50,000 x 50,000 pixels, and hardly any of them."""
    wide, high = rng.choice(
        [(50_000, 50_000), (65_535, 65_535), (2_000_000_000, 1), (1, 60_000_000)]
    )
    if rng.random() < 0.3:
        return b"GIF89a" + struct.pack("<HH", min(wide, 65_535), min(high, 65_535)) + bytes(20)
    if rng.random() < 0.3:
        return b"P6\n%d %d\n255\n" % (wide, high) + bytes(100)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", wide, high, 8, rng.choice([0, 2, 6]), 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


CONTENTS: tuple[Callable[[random.Random], bytes], ...] = (
    *(truncated, corrupt, spliced, noise, polyglot, bomb),
    lambda rng: photo(rng)[1],
    lambda rng: b"",
    lambda rng: b"http://127.0.0.1:1/secret.jpg",
    lambda rng: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    lambda rng: b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file\n",
)


def content(rng: random.Random) -> bytes:
    return rng.choice(CONTENTS)(rng)


def request(rng: random.Random) -> Request:
    """Draw one request."""
    options = "&".join(rng.sample(OPTIONS, rng.choice([0, 0, 0, 1, 2])))
    path = "/v1/captions" + (f"?{quote(options, safe='=&%[]?')}" if options else "")
    way = rng.randrange(10)
    if way == 0:
        kind, body = rng.choice(WRONG_KINDS), content(rng)
    elif way < 5:
        kind, body = rng.choice(KINDS), content(rng)
    else:
        files = [(rng.choice(NAMES), content(rng)) for _ in range(rng.choice([0, 1, 2, 5, 40]))]
        body, kind = form(files)
        if way == 5:  # a form that is no longer one
            damaged = bytearray(body)
            for _ in range(rng.randint(1, 30)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            body = bytes(damaged)
        elif way == 6:
            body = body[: rng.randrange(len(body))]
        elif way == 7:
            fields = rng.choice([1, 17, 500])
            body = FIELD * fields + body
    headers = {"Content-Type": kind} if kind else {}
    if rng.random() < 0.05:
        headers["X-Odd"] = "x" * rng.choice([10, 9000, 70_000])
    if rng.random() < 0.05:
        headers["Origin"] = rng.choice(["null", "http://[", "file://", "https://evil.example"])
    if rng.random() < 0.03:
        headers["Authorization"] = rng.choice(["Bearer", "Bearer \xff", "Basic x", "x" * 5000])
    if rng.random() < 0.03:
        path = rng.choice(
            ["/%00", "//", "/v1/../v1/captions", "/metrics/x", "/page.css?x", "/docs/../.."]
        )
    method = (
        "POST"
        if rng.random() < 0.97
        else rng.choice(["PUT", "GET", "DELETE", "OPTIONS", "TRACE", "BREW"])
    )
    return Request(method, path, headers, body)


def raw(rng: random.Random) -> bytes:
    """Draw bytes that are hardly HTTP."""
    head = b"POST /v1/captions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    return rng.choice(
        [
            noise(rng),
            b"GET / HTTP/9.9\r\n\r\n",
            head + b"Content-Length: -1\r\n\r\n",
            head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx",
            head + b"Content-Length: 99999999999999999999\r\n\r\nx",
            head + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nxx",
            head + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            head + b"Content-Length: 100\r\n\r\nhalf",
            head + b"X: " + b"x" * 100_000,
            b"GET / HTTP/1.1\r\nHost: " + noise(rng)[:50] + b"\r\n\r\n",
        ]
    )
