"""The words that a model knows, and their numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from unrolled.data.tokens import TOKENIZER, detokenize
from unrolled.errors import DataError, InputError

MOST = 100
"""The highest rarity: nobody has e ** 100 photos."""

NULL, START, END, UNK = SPECIALS = ("<NULL>", "<START>", "<END>", "<UNK>")
"""Padding, begin and end of a caption, and any word that is not in the vocabulary."""


@dataclass(frozen=True)
class Vocabulary:
    """Words and their ids: a word's id is its place.

    Parameters
    ----------
    words : tuple of str
        Unique; the four `SPECIALS` are among them, first when `build` made it.
    min_count : int
        How often a word had to occur to be taken in; kept for the record.
    tokenizer : str
        Name of the tokeniser that made the words, `unrolled.data.TOKENIZER` by default.
    rarity : tuple of float, optional
        Of each word, in nats; see `weigh`. None where nobody has measured it.

    Raises
    ------
    InputError
        When a word is empty, there twice, or a special one is missing; when the rarity is not that
        of so many words, or not a number of at least 0.
    """

    words: tuple[str, ...]
    min_count: int = 1
    tokenizer: str = TOKENIZER
    rarity: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for index, word in enumerate(self.words):
            if not word or word != word.strip():
                raise InputError(f"Vocabulary: word {index} is empty or has spaces: {word!r}")
        if len(self.word_to_idx) != len(self.words):
            twice = [word for word, count in Counter(self.words).items() if count > 1]
            raise InputError(f"Vocabulary: there more than once: {', '.join(twice[:5])}")
        missing = [word for word in SPECIALS if word not in self.word_to_idx]
        if missing:
            raise InputError(f"Vocabulary: special words are missing: {', '.join(missing)}")
        if isinstance(self.min_count, bool) or self.min_count < 1:
            raise InputError(f"Vocabulary: min_count must be at least 1, got {self.min_count!r}")
        if self.rarity is not None:
            _check_rarity(self.rarity, len(self.words))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.word_to_idx

    @cached_property
    def word_to_idx(self) -> dict[str, int]:
        """Id of every word, special ones included; not to be changed."""
        return {word: index for index, word in enumerate(self.words)}

    @property
    def null(self) -> int:
        """Id of the padding after a caption."""
        return self.word_to_idx[NULL]

    @property
    def start(self) -> int:
        """Id of the begin of a caption."""
        return self.word_to_idx[START]

    @property
    def end(self) -> int:
        """Id of the end of a caption."""
        return self.word_to_idx[END]

    @property
    def unk(self) -> int:
        """Id of any word that the vocabulary lacks."""
        return self.word_to_idx[UNK]

    @classmethod
    def build(
        cls,
        captions: Iterable[Sequence[str]],
        min_count: int = 5,
        max_size: int | None = None,
    ) -> Vocabulary:
        """Vocabulary of the words that occur often enough.

        Parameters
        ----------
        captions : iterable of sequence of str
            Each caption as words, from `unrolled.data.tokenize`.
        min_count : int
            Words that occur less often are left out.
        max_size : int, optional
            Most words, the four special ones included: the width of a model's scores.

        Returns
        -------
        Vocabulary
            Special words first, then by falling count, words of equal count in the order of
            their characters: equal captions in any order give an equal vocabulary.

        Raises
        ------
        InputError
            For a `min_count` below 1 or a `max_size` below 4.
        """
        if max_size is not None and max_size < len(SPECIALS):
            raise InputError(
                f"Vocabulary.build: max_size must hold the {len(SPECIALS)} special words, "
                f"got {max_size}"
            )
        counts = Counter(word for caption in captions for word in caption)
        kept = [
            word
            for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            if count >= min_count and word not in SPECIALS
        ]
        return cls((*SPECIALS, *kept)[:max_size], min_count)

    def weigh(self, photos: Iterable[Iterable[Sequence[str]]]) -> Vocabulary:
        r"""Measure how rare each word is, as retrieval and CIDEr do: its idf.

        .. math:: \log \frac{P}{\max(1, \mathrm{df}_w)}

        for a word w that occurs in the captions of df of P photos.

        Parameters
        ----------
        photos : iterable of iterable of sequence of str
            Of each photo its captions, as words.

        Returns
        -------
        Vocabulary
            With `rarity`, to four decimals, of these photos.

        References
        ----------
        Spärck Jones (1972); Vedantam et al. (2015), section 4.
        """
        documents: Counter[str] = Counter()
        total = 0
        for captions in photos:
            documents.update({word for words in captions for word in words})
            total += 1
        found = (documents[word] for word in self.words)
        rarity = tuple(round(math.log(max(total, 1) / max(df, 1)), 4) for df in found)
        return replace(self, rarity=rarity)

    def encode(self, words: Sequence[str]) -> list[int]:
        """Ids of START, the words, and END; an unknown word is UNK.

        A special word among `words` is unknown too: nobody's caption can end a sentence early.

        Parameters
        ----------
        words : sequence of str

        Returns
        -------
        list of int
        """
        ids = self._plain_ids
        unk = self.unk
        return [self.start, *(ids.get(word, unk) for word in words), self.end]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the words up to END, special ones left out.

        Parameters
        ----------
        ids : iterable of int

        Returns
        -------
        str

        Raises
        ------
        InputError
            For an id outside ``[0, V)``.
        """
        words: list[str] = []
        for number in ids:
            if not 0 <= number < len(self.words):
                raise InputError(
                    f"Vocabulary.decode: ids are in [0, {len(self.words)}), got {number}"
                )
            word = self.words[number]
            if word == END:
                break
            if word not in SPECIALS:
                words.append(word)
        return detokenize(words)

    @cached_property
    def _plain_ids(self) -> dict[str, int]:
        return {word: at for word, at in self.word_to_idx.items() if word not in SPECIALS}

    def to_json(self) -> dict[str, Any]:
        """Return the form of the assignment's ``coco2014_vocab.json``, some keys more.

        Returns
        -------
        dict
            ``idx_to_word`` (list), ``word_to_idx`` (dict), ``tokenizer``, ``min_count``, and
            ``rarity`` (list) where it is known.
        """
        value = {
            "idx_to_word": list(self.words),
            "word_to_idx": dict(self.word_to_idx),
            "tokenizer": self.tokenizer,
            "min_count": self.min_count,
        }
        return value if self.rarity is None else value | {"rarity": list(self.rarity)}

    @classmethod
    def from_json(cls, value: object) -> Vocabulary:
        """Vocabulary from what `to_json` gave, or from the assignment's ``coco2014_vocab.json``.

        Parameters
        ----------
        value : object
            As `json.load` returned it. ``tokenizer``, ``min_count`` and ``rarity`` may be missing.

        Raises
        ------
        DataError
            When keys are missing or of another type, the two directions disagree, a word is
            there twice, or a special word is missing.
        """
        if not isinstance(value, Mapping):
            raise DataError(f"vocabulary: expected an object, got {type(value).__name__}")
        words = _member(value, "idx_to_word", list)
        ids = _member(value, "word_to_idx", dict)
        min_count = _member(value, "min_count", int, 1)
        tokenizer = _member(value, "tokenizer", str, TOKENIZER)
        rarity = _member(value, "rarity", list) if "rarity" in value else None
        if not all(isinstance(word, str) for word in words):
            raise DataError("vocabulary: 'idx_to_word' must be a list of texts")
        try:
            vocabulary = cls(
                tuple(words), min_count, tokenizer, None if rarity is None else tuple(rarity)
            )
        except InputError as error:
            raise DataError(f"vocabulary, idx_to_word: {error}") from error
        for word, index in vocabulary.word_to_idx.items():
            if type(ids.get(word)) is not int or ids[word] != index:
                raise DataError(
                    f"vocabulary: idx_to_word has {word!r} at {index}, "
                    f"word_to_idx says {ids.get(word)!r}"
                )
        if len(ids) != len(words):
            extra = [repr(word) for word in ids if word not in vocabulary]
            raise DataError(f"vocabulary: only in word_to_idx: {', '.join(extra[:5])}")
        return vocabulary


def _check_rarity(rarity: Sequence[object], words: int) -> None:
    if len(rarity) != words:
        raise InputError(f"Vocabulary: the rarity of {len(rarity)} words, where there are {words}")
    for word, nats in enumerate(rarity):
        if type(nats) not in (int, float) or not 0 <= nats <= MOST:  # type: ignore[operator]
            raise InputError(
                f"Vocabulary: rarity is numbers from 0 to {MOST}, got {nats!r:.40} of word {word}"
            )


_REQUIRED = object()


def _member(value: Mapping[str, Any], key: str, kind: type, default: object = _REQUIRED) -> Any:
    if key not in value and default is not _REQUIRED:
        return default
    item = value.get(key)
    if not isinstance(item, kind) or isinstance(item, bool):
        got = type(item).__name__ if key in value else "nothing"
        raise DataError(f"vocabulary: {key!r} must be a {kind.__name__}, got {got}")
    return item
