"""What a batch of images holds, kept once however many captions of an image are under way."""

from __future__ import annotations

import functools
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

    def by_image(self, x: Array) -> Array:
        """Lay rows out so that the captions of an image can read it together.

        Parameters
        ----------
        x : (R, ...)

        Returns
        -------
        (M, K, ...)
            K is the most captions that an image has; where it has fewer, zeros fill up.
        """
        laid = np.zeros((len(self.parts[0]), self._most, *x.shape[1:]), x.dtype)
        laid[self.rows, self._places] = x
        return laid

    def by_caption(self, laid: Array) -> Array:
        """Give the rows that `by_image` laid out, or what has become of them.

        Parameters
        ----------
        laid : (M, K, ...)

        Returns
        -------
        (R, ...)
        """
        taken: Array = laid[self.rows, self._places]
        return taken

    @functools.cached_property
    def _places(self) -> Array:
        """Which of its image's captions each caption is, (R,)."""
        order = np.argsort(self.rows, kind="stable")
        grouped = self.rows[order]
        places = np.empty_like(self.rows)
        places[order] = np.arange(len(grouped)) - np.searchsorted(grouped, grouped)
        return places

    @property
    def _most(self) -> int:
        return int(self._places.max(initial=-1)) + 1
