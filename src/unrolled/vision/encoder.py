"""Turn photos into feature arrays with pretrained networks, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.data.identity import check_identity
from unrolled.errors import EncoderError, ImageError, InputError, ShapeError
from unrolled.vision.ahead import map_ahead
from unrolled.vision.names import JOIN, Part, join_identities, name_of, parse_name
from unrolled.vision.network import Encoded, Network, load_named, run_network
from unrolled.vision.own import load_own
from unrolled.vision.runtime import available_cpus
from unrolled.vision.views import WHOLE, check_views, load_views
from unrolled.vision.weights import encoder_spec

__all__ = ["Encoded", "Encoder", "PhotoFeatures"]

OnError = Literal["raise"] | Callable[[Path, ImageError], None]
Squares = tuple[NDArray[np.uint8], ...]


class PhotoFeatures(NamedTuple):
    """Features of one photo, or of several views of it along a first axis."""

    path: Path
    pooled: NDArray[np.float32]
    """(D,)"""
    grid: NDArray[np.float32] | None
    """(G, G, D); None unless it was asked for."""


class Encoder:
    """One pretrained network, or several side by side, that turns photos into features.

    Photos run through the networks in small chunks, each on one thread and as many at once as
    there are CPUs. On two cores that gave more photos per second than a run that shares its
    every layer between both, and it holds up when other programs want a core.

    Attributes
    ----------
    name : str
        What `load` finds it by.
    networks : tuple of Network
        Their features lie side by side, in this order.
    sizes : tuple of int
        Side in pixels of the photos that each takes.
    dim : int
        D, the number of features.
    threads : int
        How many threads decode, and how many run the networks.
    identity : dict of str to str
        All that the features depend on: network, weights, input size, how a photo is resized and
        how its pixels are scaled. Feature stores and models carry it; see
        `unrolled.data.identity`. Where networks are joined, each one's entries have its number
        before them.
    """

    def __init__(self, networks: Sequence[Network], *, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"Encoder: threads must be at least 1, got {threads}")
        self.networks = tuple(networks)
        self.name = JOIN.join(network.name for network in self.networks)
        self.sizes = tuple(network.size for network in self.networks)
        self.dim = sum(network.dim for network in self.networks)
        self.threads = available_cpus() if threads is None else threads
        self.identity = join_identities([network.identity for network in self.networks])

    def __repr__(self) -> str:
        return f"Encoder({self.name}, dim={self.dim}, threads={self.threads})"

    @property
    def grid_shape(self) -> tuple[int, int, int]:
        """(G, G, D), the shape of the spatial grid.

        Raises
        ------
        EncoderError
            A network has no grid, or grids that should be joined differ in size.
        """
        sides = []
        for network in self.networks:
            if network.side is None:
                raise EncoderError(
                    f"encoder {self.name}: {network.name} has no grid; name an output as one "
                    "in its settings, or do without the grid"
                )
            sides.append(network.side)
        if len(set(sides)) > 1:
            have = ", ".join(f"{each.name} {each.side} x {each.side}" for each in self.networks)
            raise EncoderError(
                f"encoder {self.name}: its networks' grids cannot be joined ({have}); choose input "
                "sizes that give equal grids, such as lite0@260+lite2, or do without the grid"
            )
        return sides[0], sides[0], self.dim

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
            ``"lite0"``, ``"lite1"`` or ``"lite2"``; with a side of the input in pixels, 32 to 1024,
            as in ``"lite2@320"``; the path of an ONNX file with its settings beside it, see
            `unrolled.vision.own`; or several of these joined, ``"lite0+lite2"``.
        size : int, optional
            Side of the input in pixels of one named network; by default what it was trained on:
            224, 240 and 260.
        threads : int, optional
            By default the CPUs that this process may use.
        cache : Path, optional
            Where the networks' graphs are kept; by default where the platform keeps caches.

        Raises
        ------
        EncoderError
            A name is unknown, weights are not installed or damaged, or a file cannot be used.
        InputError
            A size or ``threads`` is out of range.
        """
        parts = parse_name(name)
        if size is not None:
            if len(parts) > 1 or parts[0].size is not None:
                raise InputError(f"Encoder.load: {name!r} says its sizes; leave out size={size}")
            parts = [parts[0]._replace(size=size)]
        return cls([_load_network(part, cache) for part in parts], threads=threads)

    @classmethod
    def from_identity(
        cls,
        identity: Mapping[str, str],
        *,
        where: str,
        name: str | None = None,
        threads: int | None = None,
    ) -> Encoder:
        """Load the encoder that made some features.

        Parameters
        ----------
        identity : mapping of str to str
            Its `identity`, as a model or a feature store carries it.
        where : str
            What carries it, for the message.
        name : str, optional
            What to find it by; needed only where an ONNX file of one's own is part of it.
        threads : int, optional
            By default the CPUs that this process may use.

        Raises
        ------
        EncoderError
            This version has no encoder that makes the same features.
        """
        try:
            encoder = cls.load(name or name_of(identity, where=where), threads=threads)
        except InputError as error:
            raise EncoderError(f"{where}: {error}") from None
        check_identity(
            encoder.identity,
            identity,
            where=where,
            remedy="Use the encoder and the version of Unrolled that it was made with, or train it "
            "again.",
            error=EncoderError,
        )
        return encoder

    def encode(self, *photos: NDArray[np.uint8], grid: bool = False) -> Encoded:
        """Compute the features of photos that are already decoded and squashed.

        Parameters
        ----------
        *photos : ndarray of uint8, (N, size, size, 3)
            RGB pixels, as `load_photo` gives them; an array for each of `sizes`.
        grid : bool
            Whether to return the spatial grid too.

        Returns
        -------
        Encoded
            ``pooled`` (N, D) and, if asked for, ``grid`` (N, G, G, D), float32.

        Raises
        ------
        ShapeError, DTypeError
            ``photos`` are of another number, shape or type.
        EncoderError
            The grid is asked for, and there is none.
        """
        if grid:
            _ = self.grid_shape  # says why, if there is none
        if len(photos) != len(self.networks) or len({len(array) for array in photos}) > 1:
            raise ShapeError(
                f"Encoder.encode: expected {len(self.networks)} arrays of as many photos, for "
                f"inputs of {self.sizes} pixels, got {[np.shape(array) for array in photos]}"
            )
        parts = [
            run_network(network, np.asarray(array), grid=grid, threads=self.threads)
            for network, array in zip(self.networks, photos, strict=True)
        ]
        if len(parts) == 1:
            return parts[0]
        pooled = np.concatenate([part.pooled for part in parts], axis=-1)
        grids = [part.grid for part in parts if part.grid is not None]
        return Encoded(pooled, np.concatenate(grids, axis=-1) if grid else None)

    def features(
        self,
        paths: Iterable[Path],
        *,
        batch_size: int = 32,
        grid: bool = False,
        views: Sequence[str] | None = None,
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
        views : sequence of str, optional
            Of `unrolled.vision.VIEWS`: give the features of each of these views of a photo, along
            a first axis, instead of those of the whole photo.
        on_error : "raise" or callable
            What becomes of a photo that cannot be read. By default its `ImageError` is raised at
            its turn, after the features of all photos before it. A callable gets the path and the
            error, in order and in the caller's thread, and the others go on.

        Yields
        ------
        PhotoFeatures
            ``path``, ``pooled`` (D,) or (views, D) and, if asked for, ``grid`` (G, G, D) or
            (views, G, G, D).

        Raises
        ------
        ImageError
            A photo cannot be read, and ``on_error`` is ``"raise"``.
        EncoderError
            The grid is asked for, and there is none.
        InputError
            ``batch_size`` is not positive, or a view is unknown.
        """
        if batch_size < 1:
            raise InputError(f"Encoder.features: batch_size must be at least 1, got {batch_size}")
        if grid:
            _ = self.grid_shape  # says why, if there is none
        check_views((WHOLE,) if views is None else views)
        return self._features(paths, batch_size, grid, views, on_error)

    def _features(
        self,
        paths: Iterable[Path],
        batch_size: int,
        grid: bool,
        views: Sequence[str] | None,
        on_error: OnError,
    ) -> Generator[PhotoFeatures, None, None]:
        def decode(path: Path) -> Squares | ImageError:
            try:
                return load_views(path, self.sizes, (WHOLE,) if views is None else views)
            except ImageError as error:
                return error

        decoded = map_ahead(decode, paths, threads=self.threads, ahead=2 * batch_size)
        batch: list[tuple[Path, Squares]] = []
        try:
            for path, photo in decoded:
                if not isinstance(photo, ImageError):
                    batch.append((path, photo))
                elif on_error == "raise":
                    yield from self._encode_batch(batch, grid, views)
                    raise photo
                else:
                    on_error(path, photo)
                if len(batch) == batch_size:
                    yield from self._encode_batch(batch, grid, views)
                    batch = []
            yield from self._encode_batch(batch, grid, views)
        finally:
            decoded.close()

    def _encode_batch(
        self, batch: Sequence[tuple[Path, Squares]], grid: bool, views: Sequence[str] | None
    ) -> Generator[PhotoFeatures, None, None]:
        if not batch:
            return
        photos = [np.concatenate(squares) for squares in zip(*(s for _, s in batch), strict=True)]
        pooled, grids = self.encode(*photos, grid=grid)
        count = len(pooled) // len(batch)
        for index, (path, _) in enumerate(batch):
            rows = index if views is None else slice(index * count, (index + 1) * count)
            yield PhotoFeatures(path, pooled[rows], None if grids is None else grids[rows])


def _load_network(part: Part, cache: Path | None) -> Network:
    if part.file is not None:
        return load_own(part.file)
    return load_named(encoder_spec(part.name), size=part.size, cache=cache)
