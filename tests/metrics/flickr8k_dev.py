"""Two hundred of Flickr8k's dev photos: one person's caption against the other four."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2].parent / "shared" / "flickr8k"


def candidates_and_references(photos: int = 200) -> tuple[dict[str, str], dict[str, list[str]]]:
    if not FOLDER.exists():
        pytest.skip("Flickr8k is not here")
    wanted = (FOLDER / "Flickr_8k.devImages.txt").read_text(encoding="utf-8").split()[:photos]
    said: dict[str, list[str]] = {name: [] for name in wanted}
    for line in (FOLDER / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines():
        numbered, caption = line.split("\t")
        if (name := numbered.partition("#")[0]) in said:
            said[name].append(caption)
    return {name: s[0] for name, s in said.items()}, {name: s[1:] for name, s in said.items()}
