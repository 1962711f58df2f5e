"""Candidates against references: checked, tokenised, scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from unrolled.data.tokens import TOKENIZER, tokenize
from unrolled.errors import InputError
from unrolled.metrics.java import PTB, ptb_tokenize
from unrolled.metrics.scorers import METRICS, SCORERS, CookedReferences
from unrolled.metrics.scores import Scores

__all__ = ["DEFAULT_METRICS", "TOKENIZERS", "ReferenceSet", "score"]

DEFAULT_METRICS = ("BLEU", "ROUGE", "CIDEr")


def _tokenize_all(captions: Sequence[str]) -> list[list[str]]:
    return [tokenize(caption) for caption in captions]


_TOKENIZERS: Mapping[str, tuple[str, Callable[[Sequence[str]], list[list[str]]]]] = {
    "unrolled": (TOKENIZER, _tokenize_all),
    "ptb": (PTB, ptb_tokenize),
}

TOKENIZERS = tuple(_TOKENIZERS)
"""What can split captions into words: our own (no Java), and the one it is a twin of (Java)."""


class ReferenceSet:
    """What people said of some photos, made ready once to score captions against again and again.

    Parameters
    ----------
    references : mapping of str to sequence of str
        Each photo's captions by people, as they wrote them; at least one.
    tokenizer : {"unrolled", "ptb"}, optional
        `unrolled.data.tokenize`, the same whether Java is there or not, or the Java program that it
        is a twin of.

    Attributes
    ----------
    photos : tuple of str
        The photos' names.
    tokenizer : str
        The tokeniser's full name, with its version.

    Raises
    ------
    InputError
        If there is no photo, a photo has no caption or a single string for a sequence, or the
        tokeniser is unknown.
    MissingExtraError
        If the tokeniser needs what is not installed.

    Examples
    --------
    >>> dev = ReferenceSet({"a.jpg": ["A dog runs."], "b.jpg": ["A cat sits."]})
    >>> dev.photos
    ('a.jpg', 'b.jpg')
    """

    def __init__(
        self, references: Mapping[str, Sequence[str]], *, tokenizer: str = "unrolled"
    ) -> None:
        if tokenizer not in _TOKENIZERS:
            raise InputError(f"metrics: no tokenizer {tokenizer!r}; there is {_listed(TOKENIZERS)}")
        if not references:
            raise InputError("metrics: no photo to score; pass at least one with its references")
        _check_references(references)
        self.photos = tuple(references)
        self.tokenizer, self._tokenize = _TOKENIZERS[tokenizer]
        words = iter(self._tokenize([text for texts in references.values() for text in texts]))
        self._cooked = CookedReferences(
            [[" ".join(next(words)) for _ in texts] for texts in references.values()]
        )

    def score(
        self, candidates: Mapping[str, str], *, metrics: Iterable[str] = DEFAULT_METRICS
    ) -> Scores:
        """Score one caption for each photo.

        Parameters
        ----------
        candidates : mapping of str to str
            A caption for each photo of the set and for no other.
        metrics : iterable of str, optional
            Some of `METRICS`; ``METEOR`` and ``SPICE`` need Java.

        Returns
        -------
        Scores
            Fractions, with the captions' own scores in the order of `photos`.

        Raises
        ------
        InputError
            If a photo has no candidate, a candidate no photo, or a metric is unknown.
        MissingExtraError
            If a metric needs what is not installed.
        UnrolledError
            If a Java program fails.

        Notes
        -----
        CIDEr weighs n-grams by how rare they are among the references of *all* photos of the set:
        its scores compare only over the same photos, and for a single photo it is 0.
        """
        wanted = _check_metrics(metrics)
        self._check_candidates(candidates)
        words = self._tokenize([candidates[photo] for photo in self.photos])
        texts = [" ".join(each) for each in words]
        tallies = tuple(SCORERS[metric](texts, self._cooked) for metric in wanted)
        corpus: dict[str, float] = {}
        captions: dict[str, NDArray[np.float64]] = {}
        for tally in tallies:
            corpus |= tally.corpus
            captions |= tally.captions
        return Scores(corpus, captions, self.photos, self.tokenizer, tallies)

    def _check_candidates(self, candidates: Mapping[str, str]) -> None:
        known = set(self.photos)
        missing = [photo for photo in self.photos if photo not in candidates]
        unknown = [photo for photo in candidates if photo not in known]
        if missing:
            raise InputError(f"metrics: no candidate for {_some(missing)}; each photo needs one")
        if unknown:
            raise InputError(f"metrics: no references for {_some(unknown)}; leave these out")
        for photo, text in candidates.items():
            if not isinstance(text, str):
                raise InputError(
                    f"metrics: the candidate for {photo!r} must be one caption (str), "
                    f"got {type(text).__name__}"
                )


def score(
    candidates: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    *,
    metrics: Iterable[str] = DEFAULT_METRICS,
    tokenizer: str = "unrolled",
) -> Scores:
    """Score one caption for each photo against what people said of it.

    Parameters
    ----------
    candidates : mapping of str to str
        A caption for each photo.
    references : mapping of str to sequence of str
        For the same photos, captions by people; at least one each.
    metrics : iterable of str, optional
        Some of `METRICS`; ``METEOR`` and ``SPICE`` need Java.
    tokenizer : {"unrolled", "ptb"}, optional
        See `ReferenceSet`. The default gives the same numbers with Java and without.

    Returns
    -------
    Scores
        Fractions: see there.

    Raises
    ------
    InputError
        If the photos of the two do not match, or a metric or tokeniser is unknown.
    MissingExtraError
        If a metric or tokeniser needs what is not installed.
    UnrolledError
        If a Java program fails.

    See Also
    --------
    ReferenceSet : for scoring again and again against the same references.
    """
    wanted = _check_metrics(metrics)  # before the references are tokenised, which can take seconds
    return ReferenceSet(references, tokenizer=tokenizer).score(candidates, metrics=wanted)


def _check_metrics(metrics: Iterable[str]) -> tuple[str, ...]:
    wanted = (metrics,) if isinstance(metrics, str) else tuple(dict.fromkeys(metrics))
    unknown = [metric for metric in wanted if metric not in SCORERS]
    if unknown:
        raise InputError(f"metrics: no metric {unknown[0]!r}; there is {_listed(METRICS)}")
    if not wanted:
        raise InputError(f"metrics: no metric asked for; there is {_listed(METRICS)}")
    return wanted


def _check_references(references: Mapping[str, Sequence[str]]) -> None:
    for photo, texts in references.items():
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise InputError(
                f"metrics: the references of {photo!r} must be a list of captions (str), "
                f"got {texts!r:.60}"
            )
    empty = [photo for photo, texts in references.items() if not len(texts)]
    if empty:
        raise InputError(f"metrics: no reference for {_some(empty)}; each photo needs one or more")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}"


def _some(photos: Sequence[str]) -> str:
    shown = ", ".join(repr(photo) for photo in photos[:3])
    more = f" and {len(photos) - 3:,} more photos" if len(photos) > 3 else ""
    return shown + more
