"""What captions that a model draws in training are worth."""

from __future__ import annotations

import numpy as np

from unrolled.data import Vocabulary, tokenize
from unrolled.data.vocabulary import END
from unrolled.jobs.data import Split
from unrolled.layers.arrays import Array
from unrolled.metrics.reward import CiderD


class CiderReward:
    """CIDEr-D against the references of each caption's photo, ``<END>`` counted as a word.

    References are the photos' captions as people wrote them, words that the vocabulary lacks and
    all: ``<UNK>`` matches nothing. As ``<END>`` ends every reference, a caption that breaks off, or
    ends on a word that nobody ends on, is worth less than one that ends well.

    Parameters
    ----------
    split : Split
        Its captions are the batches' rows; document frequencies are counted over its photos.
    vocabulary : Vocabulary
    """

    def __init__(self, split: Split, vocabulary: Vocabulary) -> None:
        references = [
            [[*tokenize(text), END] for text in texts] for texts in split.references.values()
        ]
        self._scorer = CiderD(references, vocabulary.words)
        place = {row: index for index, row in enumerate(split.photo_rows.tolist())}
        self._photos = np.array([place[row] for row in split.caption_rows.tolist()])

    def __call__(self, rows: Array, captions: Array) -> Array:
        """Reward captions.

        Parameters
        ----------
        rows : (N,) int
            Captions of the split, of whose photos these are about.
        captions : (N, K, T) int
            Ids, ``<END>`` included; negative after the last word.

        Returns
        -------
        (N, K) float64
            In [0, 10].
        """
        N, K, T = captions.shape
        photos = np.repeat(self._photos[rows], K)
        return self._scorer.score(photos, captions.reshape(N * K, T)).reshape(N, K)
