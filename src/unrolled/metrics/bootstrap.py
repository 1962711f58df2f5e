r"""How sure a score is, and whether two differ: photos drawn again, nothing scored again.

A split is a sample of the photos there might have been. Drawing its photos again, with replacement,
gives other such samples, and the spread of their scores is the score's: the bootstrap. BLEU and
METEOR are taken of the drawn photos' pooled counts, as they are of all; the document frequencies
that CIDEr weighs n-grams by stay those of the whole split.

Intervals are of the photos alone. Another seed gives another model, whose scores spread as well:
see that by training again.

References
----------
Efron & Tibshirani (1993), "An introduction to the bootstrap", chapter 13 (percentile intervals).
Koehn (2004), "Statistical significance tests for machine translation evaluation". Noreen (1989),
"Computer-intensive methods for testing hypotheses" (approximate randomisation). Riezler & Maxwell
(2005), "On some pitfalls in automatic evaluation and significance testing for MT".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import InputError
from unrolled.metrics.scores import Scores
from unrolled.metrics.tallies import Tally

__all__ = ["RESAMPLES", "SWAPS", "Comparison", "Interval", "compare", "intervals"]

RESAMPLES = 1000
"""Draws that an interval is made of."""

SWAPS = 10_000
"""Swaps that a p-value is made of; it cannot come out below one in so many."""

Floats = NDArray[np.float64]
_CELLS = 4_000_000  # draws times photos that are held at a time


class Interval(NamedTuple):
    """Where a score lies, at a level."""

    low: float
    high: float


class Comparison(NamedTuple):
    """One system's score beside another's, on the same photos.

    Attributes
    ----------
    difference : float
        The one's score less the other's.
    low, high : float
        Its interval.
    p : float
        How often a difference so large, of either sign, comes of swapping the two systems'
        captions at random, photo by photo: small where chance does not explain it.
    """

    difference: float
    low: float
    high: float
    p: float


def intervals(
    scores: Scores, rng: np.random.Generator, *, resamples: int = RESAMPLES, level: float = 0.95
) -> dict[str, Interval]:
    """Find each score's interval by the percentile bootstrap over photos.

    Parameters
    ----------
    scores : Scores
    rng : numpy.random.Generator
    resamples : int, optional
        How often photos are drawn; at least 1.
    level : float, optional
        The share of draws inside.

    Returns
    -------
    dict of str to Interval
        By the scores' names.

    Raises
    ------
    InputError
        If there is no draw to be made.
    """
    _check(resamples, level)
    scored = [partial(_drawn_score, tally) for tally in scores.tallies]
    found: dict[str, Interval] = {}
    for tally, values in zip(
        scores.tallies, _each(_drawn(len(scores.photos), resamples, rng), scored), strict=True
    ):
        found |= _intervals(tally, values, level)
    return found


def compare(
    scores: Scores,
    others: Scores,
    rng: np.random.Generator,
    *,
    resamples: int = RESAMPLES,
    swaps: int = SWAPS,
    level: float = 0.95,
) -> dict[str, Comparison]:
    """Tell one system's scores from another's, photo by photo.

    The interval is the paired bootstrap's: both are scored on the same draws. The p-value is that
    of approximate randomisation, two-sided: ``(1 + swaps as extreme) / (1 + swaps)``.

    Parameters
    ----------
    scores, others : Scores
        On the same photos, by the same metrics and tokeniser.
    rng : numpy.random.Generator
    resamples, swaps : int, optional
        How often photos are drawn for the interval, and captions swapped for the p-value.
    level : float, optional
        The share of draws inside the interval.

    Returns
    -------
    dict of str to Comparison
        By the scores' names.

    Raises
    ------
    InputError
        If the two are not of the same photos, metrics and tokeniser.
    """
    _check(min(resamples, swaps), level)
    _check_same(scores, others)
    photos = len(scores.photos)
    pairs = list(zip(scores.tallies, others.tallies, strict=True))
    spreads = _each(
        _drawn(photos, resamples, rng), [partial(_drawn_difference, *pair) for pair in pairs]
    )
    chances = _each(
        _swapped(photos, swaps, rng), [partial(_swapped_difference, *pair) for pair in pairs]
    )
    found = {}
    for (one, other), spread, chance in zip(pairs, spreads, chances, strict=True):
        seen = _drawn_difference(one, other, np.ones(photos))
        # What a rounding error keeps below is as extreme all the same.
        extreme = np.abs(chance) >= np.abs(seen) - 1e-12
        p = (1 + extreme.sum(axis=0)) / (1 + swaps)
        inside = _intervals(one, spread, level)
        for name, difference, p_value in zip(one.names, seen, p, strict=True):
            found[name] = Comparison(float(difference), *inside[name], float(p_value))
    return found


def _drawn_score(tally: Tally, drawn: Floats) -> Floats:
    return tally.formula(drawn @ tally.counts)


def _drawn_difference(one: Tally, other: Tally, drawn: Floats) -> Floats:
    return one.formula(drawn @ one.counts) - other.formula(drawn @ other.counts)


def _swapped_difference(one: Tally, other: Tally, swapped: Floats) -> Floats:
    moved = swapped @ (other.counts - one.counts)
    ours, theirs = one.counts.sum(axis=0) + moved, other.counts.sum(axis=0) - moved
    return one.formula(ours) - other.formula(theirs)


def _each(draws: Iterable[Floats], functions: Sequence[Callable[[Floats], Floats]]) -> list[Floats]:
    """Call every function on every part of the draws, each of which is made once."""
    parts = [[function(draw) for function in functions] for draw in draws]
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _intervals(tally: Tally, values: Floats, level: float) -> dict[str, Interval]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
    ends = zip(tally.names, low, high, strict=True)
    return {name: Interval(float(low), float(high)) for name, low, high in ends}


def _drawn(photos: int, times: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Draw as many photos as there are, with replacement: how often each comes, a draw a row."""

    def draw(rows: int) -> Floats:
        picks = rng.integers(photos, size=(rows, photos)) + photos * np.arange(rows)[:, None]
        counts = np.bincount(picks.ravel(), minlength=rows * photos)
        return counts.reshape(rows, photos).astype(np.float64)

    return _in_parts(photos, times, draw)


def _swapped(photos: int, times: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Draw which photos' captions change sides: 1 for those, a draw a row."""
    return _in_parts(
        photos, times, lambda rows: rng.integers(2, size=(rows, photos)).astype(np.float64)
    )


def _in_parts(photos: int, times: int, draw: Callable[[int], Floats]) -> Iterator[Floats]:
    rows = max(_CELLS // photos, 1)
    for start in range(0, times, rows):
        yield draw(min(rows, times - start))


def _check(times: int, level: float) -> None:
    if times < 1:
        raise InputError(f"metrics: photos must be drawn at least once, got {times}")
    if not 0 < level < 1:
        raise InputError(f"metrics: level must be between 0 and 1, got {level}")


def _check_same(scores: Scores, others: Scores) -> None:
    ours, theirs = ([t.names for t in each.tallies] for each in (scores, others))
    if scores.photos != others.photos:
        raise InputError("metrics: only scores of the same photos, in the same order, compare")
    if ours != theirs:
        raise InputError(f"metrics: only the same scores compare, got {ours} and {theirs}")
    if scores.tokenizer != others.tokenizer:
        raise InputError(
            f"metrics: only scores of the same words compare; {scores.tokenizer} and "
            f"{others.tokenizer} split captions differently"
        )
