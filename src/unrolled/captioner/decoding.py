"""How captions are found, as a person says it; and the captions that come of it."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from unrolled.data import Vocabulary, tokenize
from unrolled.decoding import (
    NEVER_SAID,
    Rules,
    Speaker,
    beam_search,
    consensus,
    sample_captions,
)
from unrolled.errors import InputError
from unrolled.layers.arrays import Array
from unrolled.layers.precision import choose_precision

WIDEST = 100
"""Captions of a photo at most that a search holds."""

_COUNTS = {
    "width": (1, WIDEST),
    "max_length": (1, 1000),
    "min_length": (0, 1000),
    "no_repeat_ngram": (0, 1000),
    "groups": (1, 100),
    "top_k": (0, 1_000_000),
    "seed": (0, 2**63 - 1),
}


class Caption(NamedTuple):
    """A caption for people.

    Attributes
    ----------
    text : str
    log_prob : float
        Nats: the model's log-probability of the caption.
    """

    text: str
    log_prob: float


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How captions are found: searched for, or drawn.

    Attributes
    ----------
    width : int
        Captions that are followed for a photo: the width of the beam, or how many are drawn.
    max_length, min_length : int
        Words at most, and at least.
    length_norm : float
        See `unrolled.decoding.beam_search`, as for `groups` and `diversity`.
    no_repeat_ngram : int
        No run of this many words stands in a caption twice; 0 for no such rule.
    forbid : str
        Words that no caption has, a space between.
    prefix : str
        What every caption begins with.
    groups : int
    diversity : float
    consensus : bool
        Prefer the caption that the others found have most in common with, not the likeliest; see
        `unrolled.decoding.consensus`. Words count by the vocabulary's `rarity` where it is known.
        Without effect where one caption is followed.
    sample : bool
        Draw captions instead of searching for them; see `unrolled.decoding.sample_captions` for
        `temperature`, `top_k` and `top_p`.
    temperature : float
    top_k : int
    top_p : float
    seed : int
        Of the captions drawn: what is drawn for a photo depends on it and on the photo alone.
    precision : str
        ``"float32"``, ``"bfloat16"`` or ``"auto"``; see `unrolled.CaptioningRNN.ready`.
    """

    width: int = 3
    max_length: int = 30
    length_norm: float = 0.0
    min_length: int = 1
    no_repeat_ngram: int = 0
    forbid: str = ""
    prefix: str = ""
    groups: int = 1
    diversity: float = 0.0
    consensus: bool = False
    sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Hold the numbers to their ranges, and the options to each other."""
        for name, (low, high) in _COUNTS.items():
            value = getattr(self, name)
            if not (type(value) is int and low <= value <= high):
                raise InputError(
                    f"Decoding: {name} must be a whole number from {low} to {high}, got {value!r}"
                )
        for name, fits, wanted in (
            ("length_norm", 0 <= self.length_norm <= 2, "in [0, 2]"),
            ("diversity", 0 <= self.diversity < math.inf, "a number of at least 0"),
            ("temperature", 0 < self.temperature < math.inf, "above 0"),
            ("top_p", 0 < self.top_p <= 1, "above 0 and at most 1"),
        ):
            if not fits:
                raise InputError(f"Decoding: {name} must be {wanted}, got {getattr(self, name)!r}")
        choose_precision("Decoding", self.precision, 0)
        self._check_together()
        _ = self.rules

    def _check_together(self) -> None:
        """Refuse options that contradict each other."""
        if type(self.consensus) is not bool:
            raise InputError(f"Decoding: consensus must be true or false, got {self.consensus!r}")
        if self.consensus and self.length_norm:
            raise InputError(
                "Decoding: length_norm and consensus both say which caption is best; leave out one"
            )
        if self.sample:
            for name, off in (("length_norm", 0.0), ("groups", 1), ("diversity", 0.0)):
                if getattr(self, name) != off:
                    raise InputError(
                        f"Decoding: {name} is for the search, and these captions are drawn; leave "
                        f"out {name} or sample"
                    )
            return
        for name, off in (("temperature", 1.0), ("top_k", 0), ("top_p", 1.0), ("seed", 0)):
            if getattr(self, name) != off:
                raise InputError(
                    f"Decoding: {name} is for captions that are drawn; say sample too, or leave "
                    f"out {name}"
                )
        if self.width % self.groups:
            raise InputError(
                f"Decoding: {self.groups} groups cannot share a beam of {self.width} evenly; "
                f"choose a width such as {self.groups * -(-self.width // self.groups)}"
            )
        if self.diversity and self.groups == 1:
            raise InputError("Decoding: diversity is between groups; choose 2 groups or more")

    @property
    def rules(self) -> dict[str, Any]:
        """What captions are held to, as `unrolled.decoding.Rules` takes it."""
        for word in self.forbid.split():
            if tokenize(word) != [word.lower()]:
                raise InputError(
                    f"Decoding: forbid takes words as the vocabulary has them, and {word!r} is "
                    f"read as {' '.join(tokenize(word)) or 'nothing'!r}"
                )
        rules: dict[str, Any] = {
            "max_length": self.max_length,
            "min_length": self.min_length,
            "never": (*NEVER_SAID, *self.forbid.lower().split()),
            "no_repeat_ngram": self.no_repeat_ngram,
            "prefix": tuple(tokenize(self.prefix)),
        }
        Rules(**rules)
        return rules

    def find(
        self, speaker: Speaker, features: Any, vocabulary: Vocabulary, images: Sequence[Array]
    ) -> list[list[Caption]]:
        """Find captions of a batch of images.

        Parameters
        ----------
        speaker : Speaker
        features : what the speaker takes of N images
        vocabulary : Vocabulary
        images : sequence of (N, ...) arrays
            The same features, of each model: an image is told from others by them.

        Returns
        -------
        list of N lists of Caption, best first

        Raises
        ------
        InputError
            If the model does not know a word of the prefix, or the rules leave no caption.
        """
        if self.sample:
            found = sample_captions(
                speaker,
                features,
                [_rng(self.seed, *rows) for rows in zip(*images, strict=True)],
                samples=self.width,
                temperature=self.temperature,
                top_k=self.top_k,
                top_p=self.top_p,
                precision=self.precision,
                **self.rules,
            ).hypotheses(vocabulary.end)
        else:
            found = beam_search(
                speaker,
                features,
                width=self.width,
                length_norm=self.length_norm,
                groups=self.groups,
                diversity=self.diversity,
                precision=self.precision,
                **self.rules,
            )
        if self.consensus:
            rarity = vocabulary.rarity
            weighed: dict[str, Any] = {"worth": None if rarity is None else np.array(rarity)}
            if self.sample:
                weighed["sharpness"] = 0.0  # drawn as often as they are likely
            found = [consensus(hypotheses, **weighed) for hypotheses in found]
        return [
            [Caption(vocabulary.decode(each.words), each.log_prob) for each in hypotheses]
            for hypotheses in found
        ]


def _rng(seed: int, *rows: Array) -> np.random.Generator:
    """Make an image's own generator: neither its place nor its neighbours matter."""
    digest = hashlib.blake2b(digest_size=16)
    for row in rows:
        digest.update(np.ascontiguousarray(row).tobytes())
    return np.random.default_rng([seed, int.from_bytes(digest.digest(), "little")])
