"""What one model folder holds, ready to use."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from unrolled import checkpoint
from unrolled.captioner.decoding import Caption, Decoding
from unrolled.captioner.saying import Features, OnError, say_features, say_photos
from unrolled.captioner.shipping import model_folder
from unrolled.data import Vocabulary
from unrolled.errors import CheckpointError, DataError
from unrolled.layers.arrays import Array
from unrolled.layers.cells import CELLS
from unrolled.model import CaptioningRNN
from unrolled.rebuilding import rebuild_model, scaling_to_save


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
        """Load a model folder, or a captioner that ships with the package.

        Parameters
        ----------
        path : path or name, optional
            A folder that `save`, ``unrolled train`` or ``unrolled export`` wrote, or else one of
            the names of `shipped`; ``"default"`` unless given.

        Returns
        -------
        Captioner

        Raises
        ------
        CheckpointError
            If the folder is missing, damaged, or not a captioner's.
        """
        with model_folder(path) as folder:
            return cls.from_checkpoint(checkpoint.load(folder), folder)

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
            card = config.get("card", {})
            if not isinstance(card, Mapping):
                raise TypeError(f"card must be an object, got {card!r:.40}")
            decoding = Decoding(**config["decoding"])
            model = rebuild_model(vocabulary, config["model"], saved.params, path)
        except (KeyError, TypeError, ValueError, DataError) as error:
            raise CheckpointError(
                f"{path}: config.json and vocab.json do not describe a captioner ({error}); "
                "make the folder anew with `unrolled train` or `unrolled export`"
            ) from error
        return cls(model, vocabulary, encoder, decoding, dict(card))

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
            constants=scaling_to_save(self.model),
            config=config,
            vocab=self.vocabulary.to_json(),
            optimizer=optimizer,
            state=state,
            dtype=dtype,
        )

    @property
    def sees_grid(self) -> bool:
        """Whether the model looks at places of a photo, and wants their features."""
        return CELLS[self.model.cell_type].attends

    def caption_features(
        self, features: Features, *, decoding: Decoding | None = None
    ) -> list[Caption]:
        """Caption images by their features.

        Parameters
        ----------
        features : (N, D) float32, of this captioner's encoder
            Or (N, L, D), where `sees_grid`; rows of a store are read as they are needed.
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
        self, features: Features, *, decoding: Decoding | None = None
    ) -> list[list[Caption]]:
        """Find the captions an image's search ended with, or that were drawn, best first.

        Parameters
        ----------
        features : (N, D) float32, of this captioner's encoder
            Or (N, L, D), where `sees_grid`; rows of a store are read as they are needed.
        decoding : Decoding, optional

        Returns
        -------
        list of N lists of Caption
        """
        return say_features([self], [features], decoding or self.decoding)

    def caption_photos(
        self,
        paths: Iterable[str | Path],
        *,
        decoding: Decoding | None = None,
        batch_size: int = 32,
        on_error: OnError | None = None,
        encoder: str | None = None,
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
        encoder : str, optional
            Its name, for `unrolled.vision.Encoder.load`; needed only where an ONNX file of one's
            own is part of it.

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
        found = say_photos(
            [self],
            paths,
            decoding or self.decoding,
            batch_size=batch_size,
            on_error=on_error,
            encoder=encoder,
        )
        return ((path, captions[0]) for path, captions in found)
