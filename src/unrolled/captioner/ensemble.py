"""Several captioners that speak with one voice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from unrolled.captioner.captioner import Captioner
from unrolled.captioner.decoding import Caption, Decoding
from unrolled.captioner.saying import (
    Features,
    OnError,
    ready_speaker,
    say_features,
    say_photos,
)
from unrolled.decoding import Speaker
from unrolled.errors import InputError


@dataclasses.dataclass(frozen=True)
class Captioners:
    """Captioners that share a vocabulary; see `unrolled.decoding.Ensemble`.

    They may differ in cell, sizes and encoder.

    Attributes
    ----------
    members : tuple of Captioner
    speakers : mapping of str to Speaker
        Their weights laid out for a precision; see `ready`.

    Raises
    ------
    InputError
        If there is none, or they do not have the same words.
    """

    members: tuple[Captioner, ...]
    speakers: Mapping[str, Speaker] = dataclasses.field(
        default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not self.members:
            raise InputError("Captioners: expected at least one captioner, got none")
        words = self.members[0].vocabulary.words
        for number, member in enumerate(self.members[1:], 2):
            if member.vocabulary.words != words:
                raise InputError(
                    f"captioner {number} has other words than captioner 1; only those with one "
                    "vocabulary can speak together: train them on the same captions"
                )

    @classmethod
    def load(cls, paths: Sequence[str | Path | None]) -> Captioners:
        """Load model folders.

        Parameters
        ----------
        paths : sequence of path or None
            See `Captioner.load`.

        Returns
        -------
        Captioners

        Raises
        ------
        CheckpointError
            If a folder is missing, damaged, or not a captioner's.
        InputError
            If they do not have the same words.
        """
        return cls(tuple(map(Captioner.load, paths)))

    @property
    def decoding(self) -> Decoding:
        """How the first of them searches unless told otherwise."""
        return self.members[0].decoding

    def ready(self) -> Captioners:
        """Lay the weights out once for many calls of `candidates`, which do it anew otherwise.

        Returns
        -------
        Captioners
            The same, by the weights they have now: to be let go before those change.
        """
        precision = self.decoding.precision
        return dataclasses.replace(
            self, speakers={precision: ready_speaker(self.members, precision)}
        )

    def candidates(
        self, features: Sequence[Features], *, decoding: Decoding | None = None
    ) -> list[list[Caption]]:
        """Find captions of images by their features, best first.

        Parameters
        ----------
        features : sequence of (N, D) or (N, L, D) float32
            For each captioner those of its encoder.
        decoding : Decoding, optional

        Returns
        -------
        list of N lists of Caption

        Raises
        ------
        InputError
            If there are features for another number of captioners or images.
        """
        decoding = decoding or self.decoding
        ready = self.speakers.get(decoding.precision)
        return say_features(self.members, features, decoding, ready)

    def photo_candidates(
        self,
        paths: Iterable[str | Path],
        *,
        decoding: Decoding | None = None,
        batch_size: int = 32,
        on_error: OnError | None = None,
        encoder: str | None = None,
    ) -> Iterator[tuple[Path, list[Caption]]]:
        """Find captions of photos, in their order, as they are ready.

        Parameters
        ----------
        paths : iterable of paths
        decoding : Decoding, optional
        batch_size : int
        on_error : callable, optional
            As in `Captioner.caption_photos`.
        encoder : str, optional
            The same; for the captioners that were trained with it.

        Yields
        ------
        path : Path
        captions : list of Caption, best first
        """
        return say_photos(
            self.members,
            paths,
            decoding or self.decoding,
            batch_size=batch_size,
            on_error=on_error,
            encoder=encoder,
        )
