"""Cheap looks at what a file or folder may be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_HEAD_BYTES = 1 << 20


def kind_of_json(path: Path) -> str | None:
    """``"karpathy"`` or ``"coco"`` by the keys in a JSON file's first MiB, else None.

    Karpathy's photos hold their sentences, the first within the first kilobyte; COCO's keep them
    apart, under ``annotations``, which may lie far behind the photos.
    """
    if path.suffix.lower() != ".json" or not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return None
    if b'"sentences"' in head:
        return "karpathy"
    return "coco" if b'"images"' in head or b'"annotations"' in head else None


def matching(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """Files of a folder whose names match one of the patterns, sorted."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
