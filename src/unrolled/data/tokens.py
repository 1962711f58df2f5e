"""Captions to words and back: a Java-free twin of the Penn Treebank tokeniser that COCO uses.

COCO's scorers run Stanford's ``PTBTokenizer -preserveLines -lowerCase`` and then drop a fixed list
of punctuation. `tokenize` gives the same words without Java.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from unrolled.errors import InputError

__all__ = ["MAX_CHARACTERS", "TOKENIZER", "detokenize", "tokenize"]

TOKENIZER = "unrolled-ptb-1"
"""The name that a vocabulary is saved with: it changes when a word could come out otherwise."""

MAX_CHARACTERS = 20_000
"""A caption longer than this is a mistake, and is refused."""

_DROPPED = frozenset({'"', "''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"})

_ABBREVIATIONS = (
    "mr|mrs|ms|dr|st|ave|blvd|rd|ft|jr|sr|inc|co|corp|ltd|vs|etc|prof|gen|gov|sen|rep|rev|sgt|capt"
    "|col|lt|mt|dept|est"
)
_TOKEN = re.compile(
    rf"""
      (?P<clitic>n't|'(?:s|m|d|ll|ve|re)(?!\w)|'\d0s)
    | (?:{_ABBREVIATIONS})\.
    | (?:[a-z]\.)+[a-z](?!\w)\.? | [a-z]\.(?!\w)
    | [-+]?\d+(?:[.,:/-]\d+)+ | [-+]\d+
    | (?:can)(?=not\b) | gon(?=na\b) | wan(?=na\b) | got(?=ta\b) | gim(?=me\b) | lem(?=me\b)
    | (?:o|d|l|ma|qu|c)'\w+(?:-\w+)*
    | \w+?(?=n't\b)
    | \w+(?:[-_./]\w+)*
    | \.\.\. | -+ | [!?]+ | '' | ``
    | \S
    """,
    re.VERBOSE | re.IGNORECASE,
)


def tokenize(caption: str) -> list[str]:
    """Split a caption into lower-case words as COCO's scorers do, punctuation dropped."""
    if len(caption) > MAX_CHARACTERS:
        raise InputError(
            f"tokenize: a caption of {len(caption):,} characters; expected at most "
            f"{MAX_CHARACTERS:,}. Pass one caption at a time."
        )
    text = caption.lower().replace("’", "'")
    words = (match.group() for match in _TOKEN.finditer(text))
    return [word for word in words if word not in _DROPPED and not re.fullmatch("-+", word)]


def detokenize(words: Sequence[str]) -> str:
    """Join words for people to read: clitics close up, everything else is spaced."""
    text = ""
    for word in words:
        joined = not text or word == "n't" or word in {"'s", "'m", "'d", "'ll", "'ve", "'re"}
        text += word if joined else " " + word
    return text
