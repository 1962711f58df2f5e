"""A network as an encoder runs it, and those that come by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import DTypeError, InputError, ShapeError
from unrolled.vision.ahead import map_ahead
from unrolled.vision.cache import cached
from unrolled.vision.graph import GRAPH_VERSION, NORMALISATION, build_graph, grid_side
from unrolled.vision.photos import RESAMPLING
from unrolled.vision.runtime import start_session
from unrolled.vision.weights import EncoderSpec, read_weights

__all__ = ["MAX_SIZE", "Encoded", "Network", "load_named", "run_network"]

MAX_SIZE = 1024
"""Side in pixels of the largest photos that a network is given."""


_CHUNK = 2  # photos to a run: more is no faster, takes memory, and evens out worse


class Encoded(NamedTuple):
    """Features of N photos."""

    pooled: NDArray[np.float32]
    """(N, D): the mean of the grid over its places."""
    grid: NDArray[np.float32] | None
    """(N, G, G, D), rows from the photo's top; None unless it was asked for."""


@dataclass(frozen=True)
class Network:
    """One network with its preprocessing: photos in, features out.

    Attributes
    ----------
    name : str
        What `Encoder.load` finds it by.
    size : int
        Side in pixels of the photos it takes.
    dim : int
        D, the number of features.
    side : int or None
        G, the side of the spatial grid; None where there is none.
    identity : mapping of str to str
        All that the features depend on.
    compute : callable
        Takes photos (N, size, size, 3) uint8 and whether the grid is wanted, gives `Encoded`; may
        be called from several threads at once.
    """

    name: str
    size: int
    dim: int
    side: int | None
    identity: Mapping[str, str]
    compute: Callable[[NDArray[np.uint8], bool], Encoded]


def run_network(
    network: Network, photos: NDArray[np.uint8], *, grid: bool, threads: int
) -> Encoded:
    """Run a network over photos, small chunks at a time in several threads.

    Parameters
    ----------
    network : Network
    photos : ndarray of uint8, (N, size, size, 3)
    grid : bool
        Whether the grid is wanted; the network must have one.
    threads : int
        1 for the caller's own.

    Raises
    ------
    ShapeError, DTypeError
        ``photos`` are of another shape or type.
    """
    size = network.size
    if photos.ndim != 4 or photos.shape[1:] != (size, size, 3):
        raise ShapeError(
            f"Encoder.encode: photos must be (N, {size}, {size}, 3), got {photos.shape}"
        )
    if photos.dtype != np.uint8:
        raise DTypeError(f"Encoder.encode: photos must be uint8, got {photos.dtype}")

    def run(start: int) -> Encoded:
        return network.compute(np.ascontiguousarray(photos[start : start + step]), grid)

    step = max(1, min(_CHUNK, -(-len(photos) // threads)))
    starts = range(0, len(photos), step)
    if threads == 1:
        chunks = [*map(run, starts)]
    else:
        chunks = [part for _, part in map_ahead(run, starts, threads=threads, ahead=64)]
    if not chunks:
        empty = np.empty((0, network.side or 0, network.side or 0, network.dim), np.float32)
        return Encoded(np.empty((0, network.dim), np.float32), empty if grid else None)
    grids = [part.grid for part in chunks if part.grid is not None]
    return Encoded(
        np.concatenate([part.pooled for part in chunks]), np.concatenate(grids) if grid else None
    )


def load_named(spec: EncoderSpec, *, size: int | None, cache: Path | None) -> Network:
    """Load one of `unrolled.vision.ENCODERS`.

    Parameters
    ----------
    spec : EncoderSpec
    size : int or None
        Side of the input in pixels, 32 to 1024; None for what the network was trained on.
    cache : Path or None
        Where the network's graph is kept; None for where the platform keeps caches.

    Raises
    ------
    EncoderError
        The weights are not installed or damaged.
    InputError
        ``size`` is out of range.
    """
    size = spec.size if size is None else size
    if not 32 <= size <= MAX_SIZE:
        raise InputError(
            f"encoder {spec.name}: its size must be 32 to {MAX_SIZE} pixels, got {size}"
        )
    graph = cached(
        f"efficientnet-{spec.name}-{size}px-{spec.sha256[:16]}-v{GRAPH_VERSION}",
        lambda: build_graph(read_weights(spec), depth=spec.depth, size=size),
        suffix=".onnx",
        folder=cache,
    )
    session = start_session(graph, where=f"encoder {spec.name}")

    def compute(photos: NDArray[np.uint8], grid: bool) -> Encoded:
        found = session.run(["pooled", "grid"] if grid else ["pooled"], {"photos": photos})
        return Encoded(found[0], found[1] if grid else None)

    return Network(
        name=spec.name if size == spec.size else f"{spec.name}@{size}",
        size=size,
        dim=session.get_outputs()[0].shape[1],
        side=grid_side(size),
        identity={
            "name": spec.name,
            "weights_sha256": spec.sha256,
            "size": str(size),
            "resize": "squash",
            "resampling": RESAMPLING,
            "normalisation": NORMALISATION,
        },
        compute=compute,
    )
