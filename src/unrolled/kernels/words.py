"""Word ids, looked through in one go: what takes NumPy a dozen calls between two kernels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.kernels.choice import extension

Array = NDArray[Any]


class PackedCaptions(NamedTuple):
    """Captions longest first, those present at each step, and their words, in and out."""

    order: Array
    batch_sizes: tuple[int, ...]
    read: Array
    said: Array


def ids_within(ids: Array, size: int) -> bool:
    """Tell whether all ids lie in ``[0, size)``.

    Parameters
    ----------
    ids : int array of any shape
    size : int

    Returns
    -------
    bool
    """
    if _taken(ids):
        within: bool = extension().within(ids, size)
        return within
    return ids.size == 0 or (int(ids.min()) >= 0 and int(ids.max()) < size)


def distinct(ids: Array, size: int) -> tuple[Array, Array]:
    """Find the ids that there are.

    Parameters
    ----------
    ids : (P,) int in [0, size)
        The caller has held them to that.
    size : int

    Returns
    -------
    values : (U,) int
        In order.
    places : (P,) int
        Of each id among them: ``values[places]`` are the ids.
    """
    if not _taken(ids):
        values, places = np.unique(ids, return_inverse=True)
        return values, places
    values, places = (np.empty(len(ids), np.int64) for _ in range(2))
    return values[: extension().distinct(ids, size, values, places)], places


def pack_captions(captions: Array, null: int) -> PackedCaptions | None:
    """Pack captions up to the last word out that is not null, as `unrolled.layers.packing` does.

    Parameters
    ----------
    captions : (N, T + 1) int
        The words out are those from the second on.
    null : int

    Returns
    -------
    PackedCaptions, or None
        None where that is left to NumPy's text: without compiled kernels; where the ids are neither
        int32 nor int64 or do not follow each other in memory; and where null stands amid the words
        out of a caption, so that some that are packed do not count.
    """
    if not _taken(captions) or captions.shape[1] < 2:
        return None
    N, T = captions.shape[0], captions.shape[1] - 1
    order, sizes, read, said = (np.empty(n, np.int64) for n in (N, T, N * T, N * T))
    steps, words, counted = extension().pack_captions(captions, null, order, sizes, read, said)
    if counted < words:
        return None
    return PackedCaptions(order, tuple(sizes[:steps].tolist()), read[:words], said[:words])


def _taken(ids: Any) -> bool:
    """Tell whether kernels take these ids as they lie."""
    known = isinstance(ids, np.ndarray) and ids.dtype in (np.int64, np.int32)
    return known and ids.flags.c_contiguous and ids.flags.aligned and extension() is not None
