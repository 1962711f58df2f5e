"""Our tokeniser beside the Java program that it is a twin of.

Run it to list the differences on a COCO annotation file or a file with a caption a line:

    python tests/data/ptb_peer.py captions_val2017.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from unrolled.data.tokens import tokenize


class Difference(NamedTuple):
    caption: str
    java: list[str]
    ours: list[str]


def java_words(captions: Sequence[str]) -> list[list[str]]:
    """Words as COCO's scorers see them: pycocoevalcap's own tokeniser, run as it runs there."""
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    asked = {number: [{"caption": caption}] for number, caption in enumerate(captions)}
    told = PTBTokenizer().tokenize(asked)
    return [told[number][0].split() for number in asked]


def differences(captions: Sequence[str]) -> list[Difference]:
    told = zip(captions, java_words(captions), map(tokenize, captions), strict=True)
    return [Difference(*each) for each in told if each[1] != each[2]]


def read(path: Path) -> list[str]:
    """Captions of COCO's JSON, of Flickr8k's token file, or of plain lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return [each["caption"].replace("\n", " ") for each in json.loads(text)["annotations"]]
    return [line.split("\t")[-1] for line in text.splitlines()]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        asked = read(Path(name))
        found = differences(asked)
        print(f"{name}: {len(asked) - len(found):,} of {len(asked):,} captions agree")
        for caption, java, ours in found:
            print(f"  {caption}\n    java {java}\n    ours {ours}")
