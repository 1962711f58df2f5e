"""Minibatches in an order that a seed and an epoch's number decide alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unrolled.data.rows import take_rows
from unrolled.errors import DTypeError, InputError, ShapeError

POOL_BATCHES = 20
"""How many batches' worth of captions are sorted by length together."""

# Keep these streams of random numbers apart from others that start at the same seed.
_STREAM = 0xBA7C
_VIEW_STREAM = 0x71E5


@dataclass(frozen=True, slots=True)
class Batch:
    """One minibatch of N captions.

    Attributes
    ----------
    features : (N, ...) float32, C-contiguous
        The photos' features, a row for each caption.
    captions : (N, T) int32, C-contiguous
        T is the length of the longest caption here.
    index : int
        Which batch of the epoch this is, from 0.
    rows : (N,) int64
        Which captions these are.
    """

    features: np.ndarray
    captions: np.ndarray
    index: int
    rows: np.ndarray


class CaptionBatches:
    """Batches of captions with their photos' features; every caption once an epoch.

    An epoch is a pure function of the seed and its number: a run that stops in its midst goes on
    with ``epoch(k, start=batches_done)`` exactly as if it had not stopped.

    Parameters
    ----------
    captions : (M, T) int
        Ids, padded after each caption's end.
    lengths : (M,) int
        Ids before the padding, in [1, T].
    feature_rows : (M,) int
        Row of `features` that belongs to each caption.
    features : (P, ...) floating point
        Features of P photos, in memory or memory-mapped; only a batch's rows are read.
    batch_size : int
        N; the one batch of an epoch that is left over may be smaller.
    seed : int
        Not negative.
    bucket : bool
        Put captions of like length together: the shuffled captions are sorted within pools of
        `POOL_BATCHES` batches, then the batches are shuffled. Less padding, nearly as random.
    more_views : sequence of (P, ...) floating point
        Features of other views of the same photos, mirrored or cropped; each epoch draws one view
        of each photo, `features` among them.

    Raises
    ------
    ShapeError
        When arrays do not fit together.
    DTypeError
        When ids are not integers or features not floating point.
    InputError
        For no captions, a length outside [1, T], a row outside [0, P), a batch size below 1, or
        a negative seed.
    """

    def __init__(
        self,
        captions: np.ndarray,
        lengths: np.ndarray,
        feature_rows: np.ndarray,
        features: np.ndarray,
        batch_size: int,
        seed: int,
        bucket: bool = True,
        more_views: Sequence[np.ndarray] = (),
    ) -> None:
        _check_shapes(captions, lengths, feature_rows, features)
        for view in more_views:
            if view.shape != features.shape or view.dtype != features.dtype:
                raise ShapeError(
                    f"CaptionBatches: every view must be {features.dtype} {features.shape} as "
                    f"features are, got {view.dtype} {view.shape}"
                )
        if batch_size < 1:
            raise InputError(f"CaptionBatches: batch_size must be at least 1, got {batch_size}")
        if seed < 0:
            raise InputError(f"CaptionBatches: seed must not be negative, got {seed}")
        self.captions = captions
        self.lengths = lengths
        self.feature_rows = feature_rows
        self.features = features
        self.views = (features, *more_views)
        self.batch_size = batch_size
        self.seed = seed
        self.bucket = bucket

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.captions) // self.batch_size)

    def order(self, epoch: int) -> list[np.ndarray]:
        """Return the captions of each batch of an epoch, as rows of `captions`.

        Parameters
        ----------
        epoch : int
            Not negative.

        Returns
        -------
        list of (N,) int64
        """
        if epoch < 0:
            raise InputError(f"CaptionBatches: epochs count from 0, got {epoch}")
        sequence = np.random.SeedSequence(self.seed, spawn_key=(_STREAM, epoch))
        rng = np.random.default_rng(sequence)
        rows = rng.permutation(len(self.captions))
        size = self.batch_size
        if not self.bucket:
            return [rows[at : at + size] for at in range(0, len(rows), size)]
        pool = POOL_BATCHES * size
        for at in range(0, len(rows), pool):
            part = rows[at : at + pool]
            rows[at : at + pool] = part[np.argsort(self.lengths[part], kind="stable")]
        return [rows[batch * size : (batch + 1) * size] for batch in rng.permutation(len(self))]

    def drawn_views(self, epoch: int) -> np.ndarray | None:
        """Say which view of each photo an epoch shows.

        Parameters
        ----------
        epoch : int
            Not negative.

        Returns
        -------
        (P,) int64 or None
            Numbers of `views`; None where there is one.
        """
        if len(self.views) == 1:
            return None
        sequence = np.random.SeedSequence(self.seed, spawn_key=(_VIEW_STREAM, epoch))
        return np.random.default_rng(sequence).integers(len(self.views), size=len(self.features))

    def gather(self, rows: np.ndarray, index: int, drawn: np.ndarray | None = None) -> Batch:
        """Return the batch of these captions; reads only, so threads may call it together.

        Parameters
        ----------
        rows : (N,) int
        index : int
            What `Batch.index` shall be.
        drawn : (P,) int, optional
            From `drawn_views`; the first view of every photo unless given.
        """
        longest = int(self.lengths[rows].max())
        photos = self.feature_rows[rows]
        features = take_rows(self.features, photos) if drawn is None else self._seen(photos, drawn)
        return Batch(
            features,
            np.ascontiguousarray(self.captions[rows, :longest], dtype=np.int32),
            index,
            rows,
        )

    def _seen(self, photos: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Read the view that was drawn of each photo."""
        features = np.empty((len(photos), *self.features.shape[1:]), np.float32)
        for number, view in enumerate(self.views):
            (at,) = np.nonzero(drawn[photos] == number)
            features[at] = take_rows(view, photos[at])
        return features

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """Batches of an epoch, from one of them on.

        Parameters
        ----------
        number : int
            Which epoch, from 0.
        start : int
            First batch to give, in [0, ``len(self)``].

        Yields
        ------
        Batch
        """
        if not 0 <= start <= len(self):
            raise InputError(f"CaptionBatches: start must be in [0, {len(self)}], got {start}")
        order, drawn = self.order(number), self.drawn_views(number)
        return (self.gather(order[index], index, drawn) for index in range(start, len(order)))


def _check_shapes(
    captions: np.ndarray, lengths: np.ndarray, feature_rows: np.ndarray, features: np.ndarray
) -> None:
    name = "CaptionBatches"
    if captions.ndim != 2 or features.ndim < 2:
        raise ShapeError(
            f"{name}: expected captions (M, T) and features (P, D) or (P, L, D), "
            f"got {captions.shape} and {features.shape}"
        )
    M, T = captions.shape
    if lengths.shape != (M,) or feature_rows.shape != (M,):
        raise ShapeError(
            f"{name}: lengths and feature_rows must be ({M},) as there are {M} captions, "
            f"got {lengths.shape} and {feature_rows.shape}"
        )
    for what, array in (("captions", captions), ("lengths", lengths), ("rows", feature_rows)):
        if array.dtype.kind not in "iu":
            raise DTypeError(f"{name}: {what} must be integers, got {array.dtype}")
    if features.dtype.kind != "f":
        raise DTypeError(f"{name}: features must be floating point, got {features.dtype}")
    if M == 0:
        raise InputError(f"{name}: there are no captions")
    if lengths.min() < 1 or lengths.max() > T:
        raise InputError(
            f"{name}: lengths must be in [1, {T}], got {lengths.min()} to {lengths.max()}"
        )
    if feature_rows.min() < 0 or feature_rows.max() >= len(features):
        raise InputError(
            f"{name}: feature rows must be in [0, {len(features)}), "
            f"got {feature_rows.min()} to {feature_rows.max()}"
        )
