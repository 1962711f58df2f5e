"""Turn photos into feature arrays with pretrained networks, run by ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.cpus import available_cpus
from unrolled.data.identity import check_identity
from unrolled.errors import EncoderError, InputError, ShapeError
from unrolled.vision.ahead import OnError, map_photos
from unrolled.vision.names import JOIN, Part, join_identities, name_of, parse_name
from unrolled.vision.network import Encoded, Network, load_named, run_network
from unrolled.vision.own import load_own
from unrolled.vision.photos import MAX_PIXELS
from unrolled.vision.views import WHOLE, check_views, load_views
from unrolled.vision.weights import encoder_spec

__all__ = ["Encoded", "Encoder", "PhotoFeatures"]


class PhotoFeatures(NamedTuple):
    """Features of one photo, or of several views of it along a first axis."""

    path: Path
    pooled: NDArray[np.float32]
    """(D,)"""
    grid: NDArray[np.float32] | None
    """(G, G, D); None unless it was asked for."""


class Encoder:
    """One pretrained network, or several side by side, that turns photos into features.

    A photo goes through the networks on one thread, and as many photos at once as there are CPUs.
    On two cores that gave more photos per second than a run that shares its every layer between
    both, and it holds up when other programs want a core.

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
        How many photos are decoded and encoded at once.
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

    def encode(
        self, *photos: NDArray[np.uint8], grid: bool = False, threads: int | None = None
    ) -> Encoded:
        """Compute the features of photos that are already decoded and squashed.

        Parameters
        ----------
        *photos : ndarray of uint8, (N, size, size, 3)
            RGB pixels, as `load_photo` gives them; an array for each of `sizes`.
        grid : bool
            Whether to return the spatial grid too.
        threads : int, optional
            Instead of the encoder's; 1 keeps to the caller's thread.

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
            run_network(network, np.asarray(array), grid=grid, threads=threads or self.threads)
            for network, array in zip(self.networks, photos, strict=True)
        ]
        if len(parts) == 1:
            return parts[0]
        pooled = np.concatenate([part.pooled for part in parts], axis=-1)
        grids = [part.grid for part in parts if part.grid is not None]
        return Encoded(pooled, np.concatenate(grids, axis=-1) if grid else None)

    def see(
        self,
        photo: str | os.PathLike[str] | bytes,
        *,
        grid: bool = False,
        views: Sequence[str] = (WHOLE,),
        max_pixels: int = MAX_PIXELS,
    ) -> Encoded:
        """Decode a photo and compute the features of its views, in the caller's thread.

        Parameters
        ----------
        photo : path or bytes
            A file, or a whole file's content.
        grid : bool
            Whether to return the spatial grid too.
        views : sequence of str
            Of `unrolled.vision.VIEWS`.
        max_pixels : int
            Width times height beyond which the photo is refused before it is decoded.

        Returns
        -------
        Encoded
            ``pooled`` (views, D) and, if asked for, ``grid`` (views, G, G, D), float32.

        Raises
        ------
        ImageError
            The photo cannot be read.
        EncoderError
            The grid is asked for, and there is none.
        """
        squares = load_views(photo, self.sizes, views, max_pixels=max_pixels)
        return self.encode(*squares, grid=grid, threads=1)

    def features(
        self,
        paths: Iterable[Path],
        *,
        grid: bool = False,
        views: Sequence[str] | None = None,
        on_error: OnError = "raise",
        ahead: int = 32,
    ) -> Generator[PhotoFeatures, None, None]:
        """Compute the features of photo files, in order, ahead of who takes them.

        Parameters
        ----------
        paths : iterable of Path
        grid : bool
            Whether to give the spatial grid too.
        views : sequence of str, optional
            Of `unrolled.vision.VIEWS`: give the features of each of these views of a photo, along
            a first axis, instead of those of the whole photo.
        on_error : "raise" or callable
            What becomes of a photo that cannot be read. By default its `ImageError` is raised at
            its turn, after the features of all photos before it. A callable gets the path and the
            error, in order and in the caller's thread, and the others go on.
        ahead : int
            Photos at most that are read before their features are taken.

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
            ``ahead`` is not positive, or a view is unknown.
        """
        if ahead < 1:
            raise InputError(f"Encoder.features: ahead must be at least 1, got {ahead}")
        if grid:
            _ = self.grid_shape  # says why, if there is none
        wanted = (WHOLE,) if views is None else tuple(views)
        check_views(wanted)
        rows = 0 if views is None else slice(None)

        def see(path: Path) -> PhotoFeatures:
            pooled, grids = self.see(path, grid=grid, views=wanted)
            return PhotoFeatures(path, pooled[rows], None if grids is None else grids[rows])

        return map_photos(see, paths, threads=self.threads, ahead=ahead, on_error=on_error)


def _load_network(part: Part, cache: Path | None) -> Network:
    if part.file is not None:
        return load_own(part.file)
    return load_named(encoder_spec(part.name), size=part.size, cache=cache)
