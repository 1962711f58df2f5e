"""The record that scoring gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrolled.metrics.tallies import Tally

__all__ = ["Scores"]


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of one candidate caption for each of many photos.

    Attributes
    ----------
    corpus : dict of str to float
        The score of all captions together, a fraction: ``BLEU-1`` to ``BLEU-4``, ``ROUGE-L`` and
        ``METEOR`` and ``SPICE`` lie in [0, 1], ``CIDEr`` and its kin in [0, 10]. Papers print them
        times 100.
    captions : dict of str to (M,) float64
        The same scores for each caption alone, in the order of `photos`. Their mean is the corpus
        score for ROUGE-L, CIDEr and SPICE, but not for BLEU and METEOR, which pool their counts.
    photos : tuple of str
        The photos' names.
    tokenizer : str
        What split captions into words: scores made with different ones do not compare.
    tallies : tuple of Tally
        What each photo adds to the scores: what intervals and tests are drawn from.
    """

    corpus: dict[str, float]
    captions: dict[str, NDArray[np.float64]]
    photos: tuple[str, ...]
    tokenizer: str
    tallies: tuple[Tally, ...] = ()

    def of(self, photo: str) -> dict[str, float]:
        """Give one photo's own scores, by metric.

        Parameters
        ----------
        photo : str

        Returns
        -------
        dict of str to float

        Raises
        ------
        KeyError
            If the photo was not scored.
        """
        try:
            row = self.photos.index(photo)
        except ValueError:
            raise KeyError(photo) from None
        return {metric: float(values[row]) for metric, values in self.captions.items()}
