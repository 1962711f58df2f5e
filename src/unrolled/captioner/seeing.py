"""From photos that are bytes to the features that captioners take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from unrolled.captioner.saying import key_of, load_encoders
from unrolled.layers.arrays import Array
from unrolled.vision.photos import load_squares

if TYPE_CHECKING:
    from unrolled.captioner.captioner import Captioner

Decoded: TypeAlias = tuple[tuple[NDArray[np.uint8], ...], ...]
"""Of one photo, for each encoder a square of each size that it takes."""


class Eyes:
    """The encoders of some captioners, and which features each captioner takes of them.

    Parameters
    ----------
    members : sequence of Captioner
    encoder : str, optional
        As in `Captioner.caption_photos`.

    Raises
    ------
    EncoderError
        If an encoder here is not the one a captioner was trained with.
    """

    def __init__(self, members: Sequence[Captioner], encoder: str | None = None) -> None:
        self._encoders = load_encoders(members, encoder)
        places = {key_of(each.identity): at for at, each in enumerate(self._encoders)}
        self._wanted = [(places[key_of(m.encoder)], m.sees_grid) for m in members]

    def decode(self, photo: bytes, *, max_pixels: int) -> Decoded:
        """Decode a photo; several threads may do so at once.

        Parameters
        ----------
        photo : bytes
            A whole file's content.
        max_pixels : int
            Width times height beyond which it is refused before it is decoded.

        Returns
        -------
        Decoded

        Raises
        ------
        ImageError
            If it is no photo that can be read.
        """
        return tuple(
            load_squares(photo, encoder.sizes, max_pixels=max_pixels) for encoder in self._encoders
        )

    def see(self, photos: Sequence[Decoded]) -> list[Array]:
        """Compute the features of decoded photos.

        Parameters
        ----------
        photos : sequence of N Decoded

        Returns
        -------
        list of (N, D) or (N, L, D) float32
            For each captioner what `Captioners.candidates` takes.
        """
        seen = []
        for at, encoder in enumerate(self._encoders):
            squares = [np.stack(sizes) for sizes in zip(*(p[at] for p in photos), strict=True)]
            seen.append(encoder.encode(*squares, grid=(at, True) in self._wanted))
        features: list[Array] = []
        for at, sees_grid in self._wanted:
            pooled, grid = seen[at]
            if sees_grid and grid is not None:
                features.append(grid.reshape(len(photos), -1, grid.shape[-1]))
            else:
                features.append(pooled)
        return features
