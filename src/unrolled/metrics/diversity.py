"""What captions are like, whatever photos they are of: varied or not, new or not, long or short.

References
----------
Distinct n-grams: Li et al. (2016), "A diversity-promoting objective function for neural
conversation models", section 5.1. Novelty and vocabulary: Vinyals et al. (2017), "Show and tell:
lessons learned", section 4.3.5; Devlin et al. (2015), "Language models for image captioning: the
quirks and what works", section 5.3.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from unrolled.data.tokens import tokenize
from unrolled.errors import InputError

__all__ = ["Diversity", "diversity", "known_captions"]

Words = tuple[str, ...]

N_GRAMS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Diversity:
    """Counts of some captions, split into words by `unrolled.data.tokenize`.

    All but the lengths depend on how many captions there are: compare as many with as many.

    Attributes
    ----------
    captions : int
        How many there are.
    different : float
        The share of them that are left when each is counted once.
    distinct : tuple of 4 floats
        Of all n-grams said, for n from 1 to 4, the share left when each is counted once.
    vocabulary : int
        How many words are ever said.
    mean_length, shortest, longest : float, int, int
        In words.
    novel : float or None
        The share of captions that nobody said word by word in training; None where it is not known
        what was said there.
    """

    captions: int
    different: float
    distinct: tuple[float, ...]
    vocabulary: int
    mean_length: float
    shortest: int
    longest: int
    novel: float | None


def known_captions(captions: Iterable[str]) -> frozenset[Words]:
    """Make ready what was said in training, for `diversity`.

    Parameters
    ----------
    captions : iterable of str

    Returns
    -------
    frozenset of tuple of str
        The captions as words.
    """
    return frozenset(tuple(tokenize(caption)) for caption in captions)


def diversity(captions: Iterable[str], known: Container[Words] | None = None) -> Diversity:
    """Count how varied, how new and how long captions are.

    Parameters
    ----------
    captions : iterable of str
        At least one.
    known : container of tuple of str, optional
        What was said in training, from `known_captions`.

    Returns
    -------
    Diversity

    Raises
    ------
    InputError
        If there is no caption.

    Examples
    --------
    >>> said = diversity(["A dog runs.", "a dog runs", "a cat"], known_captions(["A cat!"]))
    >>> said.vocabulary, said.distinct[0], round(said.novel, 2)
    (4, 0.5, 0.67)
    """
    said = [tuple(tokenize(caption)) for caption in captions]
    if not said:
        raise InputError("diversity: no caption; pass at least one")
    lengths = [len(words) for words in said]
    return Diversity(
        captions=len(said),
        different=len(set(said)) / len(said),
        distinct=tuple(_distinct(said, n) for n in N_GRAMS),
        vocabulary=len({word for words in said for word in words}),
        mean_length=sum(lengths) / len(said),
        shortest=min(lengths),
        longest=max(lengths),
        novel=None if known is None else sum(words not in known for words in said) / len(said),
    )


def _distinct(said: list[Words], n: int) -> float:
    ngrams = [words[at : at + n] for words in said for at in range(len(words) - n + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else 0.0
