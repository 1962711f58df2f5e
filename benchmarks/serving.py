"""Load a running service: ``python -m benchmarks.serving http://127.0.0.1:8000 photos``."""

from __future__ import annotations

import http.client
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from unrolled.captioner import Captioners, Eyes
from unrolled.cli.app import main
from unrolled.jobs.photos import find_photos
from unrolled.vision.photos import MAX_PIXELS

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def post(host: str, photo: bytes) -> float:
    """Caption one photo; gives the seconds that it took."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection(host, timeout=120)
    connection.request("POST", "/v1/captions", photo, {"Content-Type": "image/jpeg"})
    reply = connection.getresponse()
    reply.read()
    connection.close()
    if reply.status != 200:
        raise RuntimeError(f"the service answered {reply.status}")
    return time.perf_counter() - began


@app.command(epilog="Example: python -m benchmarks.serving http://127.0.0.1:8000 photos")
def serving(
    address: Annotated[str, typer.Argument(help="Of a service with the captioner that ships.")],
    folder: Annotated[Path, typer.Argument(help="Of photos.")],
    clients: Annotated[int, typer.Option(help="At once.")] = 32,
    most: Annotated[int, typer.Option(help="Photos.")] = 200,
) -> None:
    """Measure many clients at once, and one alone beside the same work in this process."""
    host = urlsplit(address).netloc
    photos = [Path(path).read_bytes() for path in find_photos([folder])[:most]]
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda photo: post(host, photo), photos))
    seconds = time.perf_counter() - began
    print(f"{clients} clients at once: {len(photos) / seconds:.1f} photos/s")

    captioners = Captioners.load([None])
    eyes = Eyes(captioners.members)

    def plain(photo: bytes) -> float:
        began = time.perf_counter()
        captioners.candidates(eyes.see([eyes.decode(photo, max_pixels=MAX_PIXELS)]))
        return time.perf_counter() - began

    plain(photos[0])
    rounds = [(plain(photo), post(host, photo)) for photo in photos[:25]]
    ours, served = (1000 * statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"one photo, median: {served:.0f} ms served, {ours:.0f} ms in Python")


if __name__ == "__main__":
    main(app)
