"""A captioner: a model, its vocabulary and its encoder, loaded from one folder and ready to use.

>>> from unrolled.captioner import Captioner
>>> captioner = Captioner.load()                                     # doctest: +SKIP
>>> [c.text for _, c in captioner.caption_photos(["dog.jpg"])]       # doctest: +SKIP
['a brown dog runs through the grass']
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unrolled import checkpoint
from unrolled.data import Vocabulary
from unrolled.decoding import beam_search
from unrolled.errors import CheckpointError, DataError, ImageError, InputError
from unrolled.layers.arrays import Array
from unrolled.model import CaptioningRNN
from unrolled.vision import Encoder

BATCH = 256
"""Images that are decoded together; more no longer makes the products faster."""


class Caption(NamedTuple):
    """A caption for people.

    Attributes
    ----------
    text : str
    log_prob : float
        Nats: the model's log-probability of the caption.
    """

    text: str
    log_prob: float


@dataclasses.dataclass(frozen=True)
class Decoding:
    """How captions are searched for; see `unrolled.decoding.beam_search`."""

    width: int = 3
    max_length: int = 30
    length_norm: float = 0.0

    def __post_init__(self) -> None:
        """Hold the numbers to their ranges."""
        for name, low, high in (("width", 1, 100), ("max_length", 1, 1000)):
            value = getattr(self, name)
            if not (isinstance(value, int) and low <= value <= high):
                raise InputError(
                    f"Decoding: {name} must be a whole number from {low} to {high}, got {value!r}"
                )
        if not 0 <= self.length_norm <= 2:
            raise InputError(f"Decoding: length_norm must be in [0, 2], got {self.length_norm!r}")


@dataclasses.dataclass(frozen=True)
class Captioner:
    """What one model folder holds.

    Attributes
    ----------
    model : CaptioningRNN
    vocabulary : Vocabulary
    encoder : mapping of str to str
        The identity of the encoder that made the features the model was trained on.
    decoding : Decoding
        How this model searches unless told otherwise.
    card : mapping
        What the model card says: data, command, scores, limits.
    """

    model: CaptioningRNN
    vocabulary: Vocabulary
    encoder: Mapping[str, str]
    decoding: Decoding = dataclasses.field(default_factory=Decoding)
    card: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path | None = None) -> Captioner:
        """Load a model folder, or the captioner that ships with the package.

        Parameters
        ----------
        path : path, optional
            A folder that `save`, ``unrolled train`` or ``unrolled export`` wrote.

        Returns
        -------
        Captioner

        Raises
        ------
        CheckpointError
            If the folder is missing, damaged, or not a captioner's.
        """
        if path is None:
            with resources.as_file(
                resources.files("unrolled") / "captioners" / "default"
            ) as folder:
                return cls.from_checkpoint(checkpoint.load(folder), folder)
        return cls.from_checkpoint(checkpoint.load(Path(path)), Path(path))

    @classmethod
    def from_checkpoint(cls, saved: checkpoint.Checkpoint, path: Path) -> Captioner:
        """Build a captioner from a loaded checkpoint.

        Parameters
        ----------
        saved : Checkpoint
        path : Path
            Where it came from, for messages.

        Returns
        -------
        Captioner

        Raises
        ------
        CheckpointError
            If its configuration, vocabulary and weights do not belong together.
        """
        try:
            config, vocabulary = saved.config, Vocabulary.from_json(saved.vocab)
            encoder = dict(config["encoder"])
            if not all(isinstance(text, str) for text in encoder.values()):
                raise TypeError("encoder must be an object of texts")
            model = CaptioningRNN(vocabulary.word_to_idx, **config["model"], seed=0)
            captioner = cls(
                model,
                vocabulary,
                encoder,
                Decoding(**config["decoding"]),
                dict(config.get("card", {})),
            )
        except (KeyError, TypeError, ValueError, DataError) as error:
            raise CheckpointError(
                f"{path}: config.json and vocab.json do not describe a captioner ({error}); "
                "make the folder anew with `unrolled train` or `unrolled export`"
            ) from error
        _adopt(model.params, saved.params, path)
        return captioner

    def save(
        self,
        path: str | Path,
        *,
        optimizer: dict[str, Array] | None = None,
        state: dict[str, Any] | None = None,
        dtype: str | None = None,
    ) -> None:
        """Write the captioner to a folder, all or nothing.

        Parameters
        ----------
        path : path
        optimizer, state : optional
            What resuming a training needs.
        dtype : str, optional
            ``"float16"`` halves the weights for shipping.

        Raises
        ------
        CheckpointError
            If the folder cannot be written; what stood there before stays.
        """
        config = {
            "model": self.model.config,
            "encoder": dict(self.encoder),
            "decoding": dataclasses.asdict(self.decoding),
            "card": dict(self.card),
        }
        checkpoint.save(
            Path(path),
            params=self.model.params,
            config=config,
            vocab=self.vocabulary.to_json(),
            optimizer=optimizer,
            state=state,
            dtype=dtype,
        )

    def caption_features(
        self, features: Array, *, decoding: Decoding | None = None
    ) -> list[Caption]:
        """Caption images by their features.

        Parameters
        ----------
        features : (N, D) float32, of this captioner's encoder
        decoding : Decoding, optional
            How to search; as the captioner says unless given.

        Returns
        -------
        list of N Caption

        Raises
        ------
        ShapeError, DTypeError
            If the features do not fit the model.
        """
        return [best for best, *_ in self.candidates(features, decoding=decoding)]

    def candidates(
        self, features: Array, *, decoding: Decoding | None = None
    ) -> list[list[Caption]]:
        """Find the captions an image's search ended with, best first.

        Parameters
        ----------
        features : (N, D) float32, of this captioner's encoder
        decoding : Decoding, optional

        Returns
        -------
        list of N lists of Caption
        """
        search = dataclasses.asdict(decoding or self.decoding)
        found = []
        for start in range(0, len(features), BATCH):
            rows = np.ascontiguousarray(features[start : start + BATCH])
            found += beam_search(self.model, rows, **search)
        return [
            [Caption(self.vocabulary.decode(h.words), h.log_prob) for h in hypotheses]
            for hypotheses in found
        ]

    def caption_photos(
        self,
        paths: Iterable[str | Path],
        *,
        decoding: Decoding | None = None,
        batch_size: int = 32,
        on_error: Callable[[Path, ImageError], None] | None = None,
    ) -> Iterator[tuple[Path, Caption]]:
        """Caption photos, in their order, as they are ready.

        Parameters
        ----------
        paths : iterable of paths
        decoding : Decoding, optional
        batch_size : int
            Photos that are encoded and captioned together.
        on_error : callable, optional
            Takes a photo that cannot be read and why, and the others go on; without it the first
            such error is raised.

        Yields
        ------
        path : Path
        caption : Caption

        Raises
        ------
        ImageError
            If a photo cannot be read and there is no on_error.
        EncoderError
            If the encoder here is not the one the model was trained with.
        """
        encoder = Encoder.from_identity(self.encoder, where="the captioner's model")
        encoded = encoder.features(
            map(Path, paths), batch_size=batch_size, on_error=on_error or "raise"
        )
        while batch := list(itertools.islice(encoded, batch_size)):
            captions = self.caption_features(
                np.stack([photo.pooled for photo in batch]), decoding=decoding
            )
            yield from zip((photo.path for photo in batch), captions, strict=True)


def _adopt(params: dict[str, Array], saved: Mapping[str, Array], path: Path) -> None:
    """Put saved weights in the place of a new model's, which has the right names and shapes."""
    wanted = {name: value.shape for name, value in params.items()}
    came = {name: value.shape for name, value in saved.items()}
    if wanted != came:
        different = sorted(
            f"{name}: expected {wanted.get(name, 'nothing')}, got {came.get(name, 'nothing')}"
            for name in wanted.keys() | came.keys()
            if wanted.get(name) != came.get(name)
        )
        raise CheckpointError(
            f"{path}: the weights do not fit config.json and vocab.json ({'; '.join(different)})"
        )
    for name, value in saved.items():
        params[name] = value.astype(params[name].dtype, copy=False)
