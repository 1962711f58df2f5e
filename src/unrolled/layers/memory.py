"""What a batch of images holds, kept once however many captions of an image are under way."""

from __future__ import annotations

from typing import Any

import numpy as np

from unrolled.layers.arrays import Array


class Memory:
    """Images of M, and which of them each of R captions reads.

    It stands in a state beside arrays of R rows, and a decoder does the same to all of them:
    ``member[rows]`` and ``np.repeat(member, K, axis=0)``. Only rows' numbers are copied then.

    Parameters
    ----------
    parts : tuple of (M, ...) arrays
    rows : (R,) int, optional
        One caption an image unless given.
    """

    __slots__ = ("parts", "rows")

    def __init__(self, parts: tuple[Array, ...], rows: Array | None = None) -> None:
        self.parts = parts
        self.rows = np.arange(len(parts[0])) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Memory:
        """Take some captions' rows; an image that nobody reads any more is let go."""
        used, rows = np.unique(self.rows[index], return_inverse=True)
        if len(used) == len(self.parts[0]):
            return Memory(self.parts, rows)
        return Memory(tuple(part[used] for part in self.parts), rows)

    def repeat(self, repeats: int, axis: int = 0) -> Memory:
        """Repeat each row, as `numpy.repeat` asks an object to.

        Parameters
        ----------
        repeats : int
        axis : int
            0; there is no other.

        Returns
        -------
        Memory
        """
        return Memory(self.parts, np.repeat(self.rows, repeats, axis=axis))

    def by_image(self) -> tuple[int, tuple[Array, ...]]:
        """Give the parts so that captions of an image can read them together.

        Returns
        -------
        K : int
            Captions an image, where each has as many and they stand together, as in beam search;
            otherwise 1, and the parts come a caption each.
        parts : tuple of (R / K, ...) arrays
        """
        images = len(self.parts[0])
        K = len(self) // max(images, 1)
        if np.array_equal(self.rows, np.repeat(np.arange(images), K)):
            return K, self.parts
        return 1, tuple(part[self.rows] for part in self.parts)
