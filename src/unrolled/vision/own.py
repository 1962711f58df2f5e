"""Use an ONNX file of one's own as an encoder, with a line of settings beside it.

``net.onnx`` has its settings in ``net.json``::

    {"size": 224, "mean": [123.675, 116.28, 103.53], "scale": [58.395, 57.12, 57.375],
     "layout": "NCHW", "pooled": "features", "grid": "map"}

size
    Side of its square input in pixels.
mean, scale
    The network gets ``(x - mean) / scale`` of pixels x in [0, 255]: a number, or one for each of
    red, green and blue; 0 and 1 unless said.
layout
    Of its input, and of a grid with four axes: ``"NCHW"`` unless said, or ``"NHWC"``.
pooled, grid
    The names of its outputs, one of them at least: (N, D) features, and the same at places of the
    photo, (N, D, G, G), (N, G, G, D) or, row by row, (N, G * G, D). Pooled features that are not
    there are the mean of the grid.

The file is read as data: no code runs, and weights outside of it are refused.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import EncoderError
from unrolled.vision.names import OWN
from unrolled.vision.network import Encoded, Network
from unrolled.vision.own_settings import Settings, read_bounded, read_settings
from unrolled.vision.photos import RESAMPLING
from unrolled.vision.runtime import start_session

__all__ = ["load_own"]

_MAX_GRAPH_BYTES = 1 << 30
_INPUTS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


def load_own(path: Path) -> Network:
    """Load an ONNX file of the user's as an encoder.

    Parameters
    ----------
    path : Path
        Ends in ``.onnx``; its settings lie beside it, in a file that ends in ``.json``.

    Returns
    -------
    Network

    Raises
    ------
    EncoderError
        A file is missing, too large or damaged, a setting is wrong, or the network does not take or
        give what the settings say.
    """
    settings = read_settings(path.with_suffix(".json"))
    graph = read_bounded(path, _MAX_GRAPH_BYTES)
    _refuse_outside_weights(graph, path)
    session = start_session(graph, where=str(path))
    run = _Run(path, session, settings)
    dim, side = run.try_once()
    return Network(
        name=str(path),
        size=settings.size,
        dim=dim,
        side=side,
        identity={
            "name": OWN,
            "weights_sha256": hashlib.sha256(graph).hexdigest(),
            "size": str(settings.size),
            "resize": "squash",
            "resampling": RESAMPLING,
            "normalisation": f"(x - {list(settings.mean)}) / {list(settings.scale)}",
            "layout": settings.layout,
            "outputs": f"pooled: {settings.pooled}, grid: {settings.grid}",
        },
        compute=run,
    )


class _Run:
    """A session with the settings that say how to use it."""

    def __init__(self, path: Path, session: Any, settings: Settings) -> None:
        self.path = path
        self.session = session
        self.settings = settings
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _INPUTS:
            got = ", ".join(f"{each.name} {each.type}" for each in inputs) or "none"
            raise EncoderError(
                f"{path}: expected one input of float, float16 or uint8 numbers, got {got}"
            )
        self.input: str = inputs[0].name
        self.dtype = np.dtype(_INPUTS[inputs[0].type])
        if self.dtype == np.uint8 and settings.scaled:
            raise EncoderError(f"{path}: takes pixels as they are; leave out mean and scale")
        batch = inputs[0].shape[0] if inputs[0].shape else None
        if isinstance(batch, int) and batch != 1:
            raise EncoderError(
                f"{path}: takes {batch} photos at once; export it with a free number, or with one"
            )
        self.one_by_one = isinstance(batch, int)
        have = [each.name for each in session.get_outputs()]
        missing = [name for name in (settings.pooled, settings.grid) if name and name not in have]
        if missing:
            raise EncoderError(f"{path}: has no output {missing[0]!r}; there are {', '.join(have)}")

    def __call__(self, photos: NDArray[np.uint8], grid: bool) -> Encoded:
        if not self.one_by_one:
            return self._compute(photos, grid)
        parts = [self._compute(photo[None], grid) for photo in photos]
        grids = [part.grid for part in parts if part.grid is not None]
        pooled = np.concatenate([part.pooled for part in parts])
        return Encoded(pooled, np.concatenate(grids) if grid else None)

    def try_once(self) -> tuple[int, int | None]:
        """Encode a black photo to learn D and G."""
        size, has_grid = self.settings.size, self.settings.grid is not None
        photo = np.zeros((1, size, size, 3), np.uint8)
        try:
            pooled, places = self._compute(photo, has_grid)
        except EncoderError:
            raise
        except Exception as error:  # ONNX Runtime's own exceptions have no common base
            raise EncoderError(
                f"{self.path}: cannot encode a photo of {size} x {size} pixels ({error}); do size "
                "and layout fit it?"
            ) from error
        D = pooled.shape[1]
        if places is not None and (places.shape[1] != places.shape[2] or places.shape[3] != D):
            raise EncoderError(
                f"{self.path}: its grid must be (G, G, {D}), as wide as the pooled features, got "
                f"{places.shape[1:]}"
            )
        return D, None if places is None else places.shape[1]

    def _compute(self, photos: NDArray[np.uint8], grid: bool) -> Encoded:
        settings = self.settings
        places = None
        wanted = [settings.grid] if grid or settings.pooled is None else []
        wanted += [settings.pooled] if settings.pooled is not None else []
        found = dict(
            zip(wanted, self.session.run(wanted, {self.input: self._prepare(photos)}), strict=True)
        )
        if settings.grid in found:
            places = self._places(np.asarray(found[settings.grid], np.float32))
        if settings.pooled is not None:
            pooled = np.asarray(found[settings.pooled], np.float32)
            D = pooled.size // len(photos)
            if pooled.ndim < 2 or pooled.shape[:2] != (len(photos), D):
                raise EncoderError(
                    f"{self.path}: {settings.pooled} must be (N, D), got {pooled.shape}"
                )
            pooled = pooled.reshape(len(photos), D)
        else:
            assert places is not None  # noqa: S101 - the settings name one output at least
            pooled = places.mean(axis=(1, 2))
        return Encoded(pooled, places if grid else None)

    def _prepare(self, photos: NDArray[np.uint8]) -> NDArray[Any]:
        x: NDArray[Any] = photos
        if self.settings.scaled:
            mean, scale = (
                np.array(v, np.float32) for v in (self.settings.mean, self.settings.scale)
            )
            x = (x - mean) / scale
        if self.settings.layout == "NCHW":
            x = x.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(x, self.dtype)

    def _places(self, grid: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring the grid's axes to (N, G, G, D)."""
        if grid.ndim == 3 and math.isqrt(grid.shape[1]) ** 2 == grid.shape[1]:
            side = math.isqrt(grid.shape[1])
            return grid.reshape(len(grid), side, side, -1)
        if grid.ndim != 4:
            raise EncoderError(
                f"{self.path}: {self.settings.grid} must have places in a square, got {grid.shape}"
            )
        return grid.transpose(0, 2, 3, 1) if self.settings.layout == "NCHW" else grid


def _refuse_outside_weights(graph: bytes, path: Path) -> None:
    """Weights in other files would not enter the checksum, and could be any file."""
    import onnx

    try:
        model = onnx.load_model_from_string(graph)
    except Exception as error:  # protobuf's exceptions have no common base either
        raise EncoderError(f"{path}: not an ONNX file that can be read ({error})") from error
    for tensor in _all_tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise EncoderError(
                f"{path}: its weights {tensor.name!r} lie in another file; save it as one file "
                "(onnx.save_model with save_as_external_data=False)"
            )


def _all_tensors(model: Any) -> Iterator[Any]:
    yield from _tensors(model.graph)
    for function in model.functions:
        yield from _tensors_of(function.attribute_proto)  # its attributes' defaults
        for node in function.node:
            yield from _tensors_of(node.attribute)
    for training in model.training_info:
        yield from _tensors(training.initialization)
        yield from _tensors(training.algorithm)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _tensors_of(node.attribute)


def _tensors_of(attributes: Iterable[Any]) -> Iterator[Any]:
    for attribute in attributes:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _tensors(graph)
