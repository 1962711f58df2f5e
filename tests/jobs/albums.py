"""An album of made photos, and a captioner that says how many bytes of pixels it saw, at once."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from pathlib import Path

from PIL import Image

from unrolled.captioner import Caption, Decoding
from unrolled.errors import ImageError

BATCH = 4


def photo_bytes(number: int, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8 + number % 5, 6), (number * 7 % 256, 30, 200)).save(file, kind)
    return file.getvalue()


def write_album(folder: Path, count: int) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        kind = ("JPEG", "PNG", "WEBP")[number % 3]
        path = folder / f"{number:03}.{kind.lower()}"
        path.write_bytes(photo_bytes(number, kind))
        paths.append(str(path))
    return paths


def pixels(path: str | Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


class Seer:
    """Captions photos by their pixels, a batch ahead of itself; counts how often it said each."""

    decoding = Decoding()

    def __init__(self) -> None:
        self.said: Counter[str] = Counter()

    def photo_candidates(self, paths, *, decoding=None, on_error=None, encoder=None):
        paths = iter(paths)
        while True:
            batch = []
            for path in paths:
                try:
                    batch.append((Path(path), pixels(path)))
                except Exception as error:
                    problem = ImageError(f"{path}: not an image that can be read ({error}).")
                    if on_error is None:
                        raise problem from error
                    on_error(Path(path), problem)
                if len(batch) == BATCH:
                    break
            if not batch:
                return
            for path, seen in batch:
                self.said[path.name] += 1
                text = f"a dog {hashlib.sha256(seen).hexdigest()[:6]}"
                yield path, [Caption(text, -float(len(seen))), Caption("a cat", -999.5)]
