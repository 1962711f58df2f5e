"""What a caption may be like, whichever way it is found: how long, of which words, how begun."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from unrolled.errors import InputError
from unrolled.layers.arrays import Array

NEVER_SAID = ("<NULL>", "<START>", "<UNK>")
"""Words of the vocabulary that no caption for a person holds; ``<END>`` ends one."""

_MARKS = ("<NULL>", "<START>", "<END>")


@dataclasses.dataclass(frozen=True)
class Rules:
    """What captions are held to.

    Attributes
    ----------
    max_length : int
        Words at most, ``<END>`` included.
    min_length : int
        Words at least, ``<END>`` not included.
    never : collection of str
        Words that may not be said, where the vocabulary has them.
    no_repeat_ngram : int
        No run of this many words stands in a caption twice (Paulus et al. 2018, section 2.5); 0 for
        no such rule.
    prefix : sequence of str
        The words a caption begins with. They count as the caption's own: in its length, in its
        probability, and in what is not repeated.

    Raises
    ------
    InputError
        If a number is out of range, or the rules contradict each other.
    """

    max_length: int = 30
    min_length: int = 0
    never: Collection[str] = NEVER_SAID
    no_repeat_ngram: int = 0
    prefix: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, least in (("max_length", 1), ("min_length", 0), ("no_repeat_ngram", 0)):
            if getattr(self, name) < least:
                raise InputError(
                    f"Rules: {name} must be at least {least}, got {getattr(self, name)!r}"
                )
        for name in ("never", "prefix"):
            if isinstance(getattr(self, name), str):
                raise InputError(f"Rules: {name} must be words, got one text")
        if self.min_length > self.max_length:
            raise InputError(
                f"Rules: min_length {self.min_length} is above max_length {self.max_length}"
            )
        self._check_prefix()

    def _check_prefix(self) -> None:
        if len(self.prefix) > self.max_length:
            raise InputError(
                f"Rules: the prefix has {len(self.prefix)} words, max_length is {self.max_length}"
            )
        barred = [word for word in self.prefix if word in self.never or word in _MARKS]
        if barred:
            raise InputError(f"Rules: the prefix holds {barred[0]!r}, which may not be said")
        n = self.no_repeat_ngram
        runs = [tuple(self.prefix[i : i + n]) for i in range(len(self.prefix) - n + 1)] if n else []
        if len(set(runs)) < len(runs):
            raise InputError(f"Rules: the prefix itself repeats {n} words in a row")

    def numbered(self, word_to_idx: Mapping[str, int]) -> NumberedRules:
        """Say the rules in the words' numbers.

        Parameters
        ----------
        word_to_idx : mapping of str to int

        Returns
        -------
        NumberedRules

        Raises
        ------
        InputError
            If the vocabulary lacks ``<NULL>``, ``<START>`` or ``<END>``, or a word of the prefix.
        """
        missing = set(_MARKS) - word_to_idx.keys()
        if missing:
            raise InputError(f"decoding: the vocabulary lacks {', '.join(sorted(missing))}")
        unknown = [word for word in self.prefix if word not in word_to_idx]
        if unknown:
            raise InputError(
                f"decoding: the prefix holds {unknown[0]!r}, a word that the model does not know"
            )
        null, start, end = (word_to_idx[mark] for mark in _MARKS)
        forbidden = sorted({word_to_idx[word] for word in self.never if word in word_to_idx})
        prefix = tuple(word_to_idx[word] for word in self.prefix)
        return NumberedRules(self, len(word_to_idx), null, start, end, forbidden, prefix)


@dataclasses.dataclass(frozen=True)
class NumberedRules:
    """Rules in a vocabulary's numbers; see `Rules.numbered`."""

    rules: Rules
    size: int  # of the vocabulary
    null: int
    start: int
    end: int
    forbidden: list[int]
    prefix: tuple[int, ...]

    @property
    def forbid_nothing(self) -> bool:
        """Whether any word may be said at any time."""
        rules = self.rules
        return not (self.forbidden or self.prefix or rules.min_length or rules.no_repeat_ngram)

    def never_at(self, t: int) -> list[int]:
        """Name the words that no caption may say next.

        Parameters
        ----------
        t : int
            Words said before.

        Returns
        -------
        list of int
        """
        if t < len(self.prefix):
            return [word for word in range(self.size) if word != self.prefix[t]]
        if t < self.rules.min_length:
            return [*self.forbidden, self.end]
        return self.forbidden

    def most_repeating(self, t: int) -> int:
        """Say how many words `repeating` may name for a caption.

        Parameters
        ----------
        t : int
            Words said before.

        Returns
        -------
        int
        """
        n = self.rules.no_repeat_ngram
        return max(t - n + 1, 0) if n and t >= len(self.prefix) else 0

    def repeating(self, said: Array) -> Array:
        """Name the words that would make each caption repeat a run of words.

        Parameters
        ----------
        said : (R, t) int
            The words of each caption so far, without ``<START>``.

        Returns
        -------
        (R, `most_repeating`) int
            -1 in the places that are too many.
        """
        (R, t), n = said.shape, self.rules.no_repeat_ngram
        if not self.most_repeating(t):
            return np.empty((R, 0), said.dtype)
        runs = np.lib.stride_tricks.sliding_window_view(said, n, axis=1)
        begun_again = (runs[:, :, :-1] == said[:, None, t - n + 1 :]).all(axis=2)
        words: Array = np.where(begun_again, runs[:, :, -1], -1)
        return words

    def forbid(self, scores: Array, said: Array) -> None:
        """Score the words that may not come next with minus infinity, in place.

        Parameters
        ----------
        scores : (R, V) float
            Changed.
        said : (R, t) int
            The words of each caption so far, without ``<START>``.
        """
        scores[:, self.never_at(said.shape[1])] = -np.inf
        words = self.repeating(said)
        rows, places = np.nonzero(words >= 0)
        scores[rows, words[rows, places]] = -np.inf

    def refuse(self, said: int) -> InputError:
        """Make the error for rules that leave no word to say.

        Parameters
        ----------
        said : int
            Words before that.

        Returns
        -------
        InputError
        """
        return InputError(
            f"decoding: after {said} words the rules leave none that may be said; allow shorter "
            f"captions (min_length is {self.rules.min_length}), more repetition (no_repeat_ngram "
            f"is {self.rules.no_repeat_ngram}) or more words ({len(self.forbidden)} are forbidden)"
        )
