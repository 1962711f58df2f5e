"""What is behind a caption, as the page shows it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unrolled.captioner import Captioners, number_words, weigh_words
from unrolled.laboratory import attention_maps, gate_activations
from unrolled.layers.arrays import Array

_DIGITS = 4

UNGATED = "rnn"


def explain(
    captioners: Captioners, decoding: Mapping[str, Any], features: Sequence[Array], caption: str
) -> dict[str, Any]:
    """Say how likely each word of a caption was, where the model looked, and what its gates did.

    Of several models that speak together, the first that attends looks, and the first has gates.

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
    details: dict[str, Any] = {
        "words": [
            {
                "word": word.text,
                "p": round(word.p, _DIGITS),
                "others": [{"word": text, "p": round(p, _DIGITS)} for text, p in word.others],
            }
            for word in weigh_words(members, features, numbers)
        ]
    }
    read = np.array([numbers])
    for member, own in zip(members, features, strict=True):
        if member.sees_grid and math.isqrt(own.shape[1]) ** 2 == own.shape[1]:
            maps = attention_maps(member.model, own, read)
            details["attention"] = maps.alphas.round(_DIGITS).tolist()
            break
    if members[0].model.cell_type != UNGATED:
        found = gate_activations(members[0].model, features[0], read)
        means = found.gates.mean(axis=2).round(_DIGITS).tolist()
        details["gates"] = dict(zip(found.names, means, strict=True))
    return details
