"""From photos to the features that captioners take."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unrolled.errors import EncoderError
from unrolled.layers.arrays import Array
from unrolled.vision import Encoded, Encoder
from unrolled.vision.ahead import OnError, map_photos
from unrolled.vision.photos import MAX_PIXELS

if TYPE_CHECKING:
    from unrolled.captioner.captioner import Captioner


class Eyes:
    """The encoders of some captioners, and which features each captioner takes of them.

    Parameters
    ----------
    members : sequence of Captioner
    encoder : str, optional
        As in `Captioner.caption_photos`.

    Attributes
    ----------
    threads : int
        How many photos are worth seeing at once.

    Raises
    ------
    EncoderError
        If an encoder here is not the one a captioner was trained with.
    """

    def __init__(self, members: Sequence[Captioner], encoder: str | None = None) -> None:
        self._encoders = _load_encoders(members, encoder)
        places = {_key_of(each.identity): at for at, each in enumerate(self._encoders)}
        self._wanted = [(places[_key_of(m.encoder)], m.sees_grid) for m in members]
        self.threads = max(each.threads for each in self._encoders)

    def see(
        self, photo: str | os.PathLike[str] | bytes, *, max_pixels: int = MAX_PIXELS
    ) -> tuple[Array, ...]:
        """Decode a photo and compute its features; several threads may do so at once.

        Parameters
        ----------
        photo : path or bytes
            A file, or a whole file's content.
        max_pixels : int
            Width times height beyond which it is refused before it is decoded.

        Returns
        -------
        tuple of (D,) or (L, D) float32
            For each captioner what it takes of an image.

        Raises
        ------
        ImageError
            If it is no photo that can be read.
        """
        seen = [
            encoder.see(photo, grid=(at, True) in self._wanted, max_pixels=max_pixels)
            for at, encoder in enumerate(self._encoders)
        ]
        return tuple(_taken(seen[at], sees_grid) for at, sees_grid in self._wanted)

    def see_ahead(
        self, paths: Iterable[str | Path], *, ahead: int, on_error: OnError = "raise"
    ) -> Generator[tuple[Path, tuple[Array, ...]], None, None]:
        """See photos, in their order, ahead of who takes them; see `unrolled.vision.Encoder`.

        Parameters
        ----------
        paths : iterable of paths
        ahead : int
            Photos at most that are seen before they are taken.
        on_error : "raise" or callable

        Yields
        ------
        path : Path
        features : tuple of (D,) or (L, D) float32
        """
        return map_photos(
            lambda path: (path, self.see(path)),
            map(Path, paths),
            threads=self.threads,
            ahead=ahead,
            on_error=on_error,
        )


def _taken(seen: Encoded, sees_grid: bool) -> Array:
    """Choose, of one photo's features, those that a captioner's model takes."""
    features: Array = seen.pooled[0]
    if sees_grid and seen.grid is not None:
        features = seen.grid[0].reshape(-1, seen.grid.shape[-1])
    return features


def _key_of(identity: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Give an encoder's identity as what a dict can find it by."""
    return tuple(sorted(identity.items()))


def _load_encoders(members: Sequence[Captioner], name: str | None) -> list[Encoder]:
    """Load each encoder that a captioner wants, once; by its name one that is a person's own."""
    where = "the captioner's model"
    wanted = {_key_of(member.encoder): member.encoder for member in members}
    if name is None or len(wanted) == 1:
        return [
            Encoder.from_identity(identity, where=where, name=name) for identity in wanted.values()
        ]
    named = Encoder.load(name)
    if _key_of(named.identity) not in wanted:
        raise EncoderError(f"{name}: none of the models was trained with this encoder")
    return [
        named if key == _key_of(named.identity) else Encoder.from_identity(identity, where=where)
        for key, identity in wanted.items()
    ]
