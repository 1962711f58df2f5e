"""What is behind a caption, as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from unrolled.captioner import Captioners, number_words, weigh_words
from unrolled.layers.arrays import Array

_DIGITS = 4


def explain(
    captioners: Captioners, decoding: Mapping[str, Any], features: Sequence[Array], caption: str
) -> dict[str, Any]:
    """Say how likely each word of a caption was, and what might have stood in its place.

    Parameters
    ----------
    captioners : Captioners
    decoding : mapping
        The way it was found.
    features : sequence of (1, ...) arrays
        Of the photo, for each captioner.
    caption : str

    Returns
    -------
    dict
        That JSON can hold.
    """
    members = captioners.members
    numbers = number_words(members[0], caption, decoding["max_length"])
    words = weigh_words(members, features, numbers)
    return {
        "words": [
            {
                "word": word.text,
                "p": round(word.p, _DIGITS),
                "others": [{"word": text, "p": round(p, _DIGITS)} for text, p in word.others],
            }
            for word in words
        ]
    }
