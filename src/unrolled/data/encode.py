"""Captions as rows of word ids, ready for a model."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

import numpy as np

from unrolled.data.captions import Photo
from unrolled.data.tokens import TOKENIZER, tokenize
from unrolled.data.vocabulary import Vocabulary
from unrolled.errors import InputError


class EncodedCaptions(NamedTuple):
    """M captions as ids.

    Attributes
    ----------
    captions : (M, T) int32
        START, words, END, then NULL.
    lengths : (M,) int32
        Ids before the padding, START and END included.
    photo_index : (M,) int64
        Which of the photos each caption is about.
    """

    captions: np.ndarray
    lengths: np.ndarray
    photo_index: np.ndarray


def encode_captions(
    photos: Iterable[Photo], vocabulary: Vocabulary, max_length: int = 30
) -> EncodedCaptions:
    """Every caption of the photos as a row of ids, in the photos' order.

    Parameters
    ----------
    photos : iterable of Photo
    vocabulary : Vocabulary
        Made with this version's tokeniser.
    max_length : int
        Most words of a caption; a longer one is cut and ended there. T is at most
        ``max_length + 2``.

    Returns
    -------
    EncodedCaptions
        T is the longest caption's. A caption without words (punctuation alone) is left out.

    Raises
    ------
    InputError
        For a `max_length` below 1, or a vocabulary of another tokeniser.
    """
    if max_length < 1:
        raise InputError(f"encode_captions: max_length must be at least 1, got {max_length}")
    if vocabulary.tokenizer != TOKENIZER:
        raise InputError(
            f"encode_captions: the vocabulary's words come from tokeniser "
            f"{vocabulary.tokenizer!r}, this version has {TOKENIZER!r}; build a new vocabulary"
        )
    rows: list[list[int]] = []
    photo_index: list[int] = []
    for index, photo in enumerate(photos):
        for caption in photo.captions:
            words = tokenize(caption)[:max_length]
            if words:
                rows.append(vocabulary.encode(words))
                photo_index.append(index)
    lengths = np.array([len(row) for row in rows], dtype=np.int32)
    captions = np.full((len(rows), lengths.max(initial=0)), vocabulary.null, dtype=np.int32)
    # Row by row in one go: the places before each row's end are, in order, all the rows' ids.
    used = np.arange(captions.shape[1]) < lengths[:, None]
    captions[used] = np.fromiter(chain.from_iterable(rows), dtype=np.int32)
    return EncodedCaptions(captions, lengths, np.array(photo_index, dtype=np.int64))


def caption_lengths(captions: np.ndarray, null: int) -> np.ndarray:
    """Ids before the padding of each row.

    Parameters
    ----------
    captions : (M, T) int
    null : int
        Id of the padding.

    Returns
    -------
    (M,) int32
    """
    used = captions != null
    after = used[:, ::-1].argmax(axis=1)  # paddings after the last word, if there is a word
    lengths = np.where(used.any(axis=1), captions.shape[1] - after, 0)
    return lengths.astype(np.int32)
