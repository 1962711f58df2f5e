"""Turn photos into feature arrays with a pretrained network, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.data.identity import check_identity
from unrolled.errors import DTypeError, EncoderError, ImageError, InputError, ShapeError
from unrolled.vision.ahead import map_ahead
from unrolled.vision.cache import cached
from unrolled.vision.graph import GRAPH_VERSION, NORMALISATION, build_graph, grid_side
from unrolled.vision.photos import RESAMPLING, load_photo
from unrolled.vision.runtime import available_cpus, start_session
from unrolled.vision.weights import EncoderSpec, encoder_spec, read_weights

__all__ = ["Encoded", "Encoder", "PhotoFeatures"]

_CHUNK = 2  # photos to a run: more is no faster, takes memory, and evens out worse
_MAX_SIZE = 1024

OnError = Literal["raise"] | Callable[[Path, ImageError], None]


class Encoded(NamedTuple):
    """Features of N photos."""

    pooled: NDArray[np.float32]
    """(N, D): the mean of the grid over its places."""
    grid: NDArray[np.float32] | None
    """(N, G, G, D), rows from the photo's top; None unless it was asked for."""


class PhotoFeatures(NamedTuple):
    """Features of one photo."""

    path: Path
    pooled: NDArray[np.float32]
    """(D,)"""
    grid: NDArray[np.float32] | None
    """(G, G, D); None unless it was asked for."""


def _identity(spec: EncoderSpec, size: int) -> dict[str, str]:
    return {
        "name": spec.name,
        "weights_sha256": spec.sha256,
        "size": str(size),
        "resize": "squash",
        "resampling": RESAMPLING,
        "normalisation": NORMALISATION,
    }


class Encoder:
    """A pretrained network that turns photos into features.

    Photos run through the network in small chunks, each on one thread and as many at once as
    there are CPUs. On two cores that gave more photos per second than a run that shares its
    every layer between both, and it holds up when other programs want a core.

    Attributes
    ----------
    name : str
        Which network this is.
    size : int
        Side in pixels of the photos it takes.
    dim : int
        D, the number of features.
    grid_shape : tuple of int
        (G, G, D), the shape of the spatial grid.
    threads : int
        How many threads decode, and how many run the network.
    identity : dict of str to str
        All that the features depend on: network, weights, input size, how a photo is resized and
        how its pixels are scaled. Feature stores and models carry it; see
        `unrolled.data.identity`.
    """

    def __init__(
        self, spec: EncoderSpec, session: Any, *, size: int, threads: int | None = None
    ) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"Encoder: threads must be at least 1, got {threads}")
        self._session = session
        self.name = spec.name
        self.size = size
        self.threads = available_cpus() if threads is None else threads
        self.dim: int = session.get_outputs()[0].shape[1]
        self.grid_shape = (grid_side(size), grid_side(size), self.dim)
        self.identity = _identity(spec, size)

    def __repr__(self) -> str:
        return f"Encoder({self.name}, size={self.size}, dim={self.dim}, threads={self.threads})"

    @classmethod
    def load(
        cls,
        name: str = "lite0",
        *,
        size: int | None = None,
        threads: int | None = None,
        cache: Path | None = None,
    ) -> Encoder:
        """Load an encoder by name.

        Parameters
        ----------
        name : str
            ``"lite0"``, ``"lite1"`` or ``"lite2"``.
        size : int, optional
            Side of the input in pixels, 32 to 1024; by default what the network was trained on:
            224, 240 and 260.
        threads : int, optional
            By default the CPUs that this process may use.
        cache : Path, optional
            Where the network's graph is kept; by default where the platform keeps caches.

        Raises
        ------
        EncoderError
            The name is unknown, or the weights are not installed or damaged.
        InputError
            ``size`` or ``threads`` is out of range.
        """
        spec = encoder_spec(name)
        size = spec.size if size is None else size
        if not 32 <= size <= _MAX_SIZE:
            raise InputError(f"Encoder.load: size must be 32 to {_MAX_SIZE} pixels, got {size}")
        graph = cached(
            f"efficientnet-{name}-{size}px-{spec.sha256[:16]}-v{GRAPH_VERSION}",
            lambda: build_graph(read_weights(spec), depth=spec.depth, size=size),
            suffix=".onnx",
            folder=cache,
        )
        return cls(spec, start_session(graph, where=f"encoder {name}"), size=size, threads=threads)

    @classmethod
    def from_identity(
        cls, identity: Mapping[str, str], *, where: str, threads: int | None = None
    ) -> Encoder:
        """Load the encoder that made some features.

        Parameters
        ----------
        identity : mapping of str to str
            Its `identity`, as a model or a feature store carries it.
        where : str
            What carries it, for the message.
        threads : int, optional
            By default the CPUs that this process may use.

        Raises
        ------
        EncoderError
            This version has no encoder that makes the same features.
        """
        size = str(identity.get("size", ""))
        if not (size.isascii() and size.isdigit() and len(size) < 6):
            raise EncoderError(f"{where}: its encoder's size is {size!r}, expected a number")
        spec = encoder_spec(identity.get("name", ""))
        check_identity(
            _identity(spec, int(size)),
            identity,
            where=where,
            remedy="Use the version of Unrolled that it was made with, or train it again.",
            error=EncoderError,
        )
        try:
            return cls.load(spec.name, size=int(size), threads=threads)
        except InputError as error:
            raise EncoderError(f"{where}: {error}") from None

    def encode(self, photos: NDArray[np.uint8], *, grid: bool = False) -> Encoded:
        """Compute the features of photos that are already decoded and squashed.

        Parameters
        ----------
        photos : ndarray of uint8, (N, size, size, 3)
            RGB pixels, as `load_photo` gives them.
        grid : bool
            Whether to return the spatial grid too.

        Returns
        -------
        Encoded
            ``pooled`` (N, D) and, if asked for, ``grid`` (N, G, G, D), float32.

        Raises
        ------
        ShapeError, DTypeError
            ``photos`` is of another shape or type.
        """
        photos = np.asarray(photos)
        if photos.ndim != 4 or photos.shape[1:] != (self.size, self.size, 3):
            raise ShapeError(
                f"Encoder.encode: photos must be (N, {self.size}, {self.size}, 3), "
                f"got {photos.shape}"
            )
        if photos.dtype != np.uint8:
            raise DTypeError(f"Encoder.encode: photos must be uint8, got {photos.dtype}")
        outputs = ["pooled", "grid"] if grid else ["pooled"]

        def run(start: int) -> list[NDArray[np.float32]]:
            chunk = np.ascontiguousarray(photos[start : start + step])
            result: list[NDArray[np.float32]] = self._session.run(outputs, {"photos": chunk})
            return result

        step = max(1, min(_CHUNK, -(-len(photos) // self.threads)))
        starts = range(0, len(photos), step)
        chunks = [part for _, part in map_ahead(run, starts, threads=self.threads, ahead=64)]
        if not chunks:
            empty = np.empty((0, *self.grid_shape), np.float32)
            return Encoded(np.empty((0, self.dim), np.float32), empty if grid else None)
        arrays = [np.concatenate(parts) for parts in zip(*chunks, strict=True)]
        return Encoded(arrays[0], arrays[1] if grid else None)

    def features(
        self,
        paths: Iterable[Path],
        *,
        batch_size: int = 32,
        grid: bool = False,
        on_error: OnError = "raise",
    ) -> Generator[PhotoFeatures, None, None]:
        """Compute the features of photo files, in order, decoding ahead of the network.

        Parameters
        ----------
        paths : iterable of Path
            Read as far ahead as two batches.
        batch_size : int
            How many photos go through the network before their features come out.
        grid : bool
            Whether to give the spatial grid too.
        on_error : "raise" or callable
            What becomes of a photo that cannot be read. By default its `ImageError` is raised at
            its turn, after the features of all photos before it. A callable gets the path and the
            error, in order and in the caller's thread, and the others go on.

        Yields
        ------
        PhotoFeatures
            ``path``, ``pooled`` (D,) and, if asked for, ``grid`` (G, G, D).

        Raises
        ------
        ImageError
            A photo cannot be read, and ``on_error`` is ``"raise"``.
        InputError
            ``batch_size`` is not positive.
        """
        if batch_size < 1:
            raise InputError(f"Encoder.features: batch_size must be at least 1, got {batch_size}")
        return self._features(paths, batch_size, grid, on_error)

    def _features(
        self, paths: Iterable[Path], batch_size: int, grid: bool, on_error: OnError
    ) -> Generator[PhotoFeatures, None, None]:
        decoded = map_ahead(self._decode, paths, threads=self.threads, ahead=2 * batch_size)
        batch: list[tuple[Path, NDArray[np.uint8]]] = []
        try:
            for path, photo in decoded:
                if not isinstance(photo, ImageError):
                    batch.append((path, photo))
                elif on_error == "raise":
                    yield from self._encode_batch(batch, grid)
                    raise photo
                else:
                    on_error(path, photo)
                if len(batch) == batch_size:
                    yield from self._encode_batch(batch, grid)
                    batch = []
            yield from self._encode_batch(batch, grid)
        finally:
            decoded.close()

    def _decode(self, path: Path) -> NDArray[np.uint8] | ImageError:
        try:
            return load_photo(path, self.size)
        except ImageError as error:
            return error

    def _encode_batch(
        self, batch: Sequence[tuple[Path, NDArray[np.uint8]]], grid: bool
    ) -> Generator[PhotoFeatures, None, None]:
        if not batch:
            return
        pooled, grids = self.encode(np.stack([photo for _, photo in batch]), grid=grid)
        for index, (path, _) in enumerate(batch):
            yield PhotoFeatures(path, pooled[index], None if grids is None else grids[index])
