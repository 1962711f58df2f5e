"""Photos to a feature store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from unrolled.data import FeatureWriter
from unrolled.errors import ImageError, InputError
from unrolled.jobs.photos import find_photos
from unrolled.vision import Encoder
from unrolled.vision.ahead import OnError
from unrolled.vision.views import WHOLE


class FeatureProgress(NamedTuple):
    """How far `write_features` has come.

    Attributes
    ----------
    done, total : int
        Photos that have been dealt with, of all there are.
    bad : ImageError or None
        Why the latest photo was left out, if it was.
    """

    done: int
    total: int
    bad: ImageError | None = None


def photos_by_name(folder: str | Path) -> dict[str, Path]:
    """Name every photo below a folder by its path from there.

    Parameters
    ----------
    folder : path

    Returns
    -------
    dict of str to Path
        Names have ``/`` between their parts on every system.

    Raises
    ------
    ImageError
        If there is no such folder, or no photo in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImageError(f"{folder}: expected a folder of photos")
    paths = map(Path, find_photos([folder], recursive=True))
    return {path.relative_to(folder).as_posix(): path for path in paths}


def write_features(
    photos: Mapping[str, Path],
    out: str | Path,
    encoder: Encoder,
    *,
    grid: bool = False,
    views: Sequence[str] = (WHOLE,),
    skip_bad: bool = False,
) -> Iterator[FeatureProgress]:
    """Encode photos into a feature store; one that was interrupted goes on where it stopped.

    Parameters
    ----------
    photos : mapping of str to Path
    out : path
        The store, replaced only when the new one is whole.
    encoder : Encoder
    grid : bool
        Also keep the features at each place of the photo, as float16.
    views : sequence of str
        Of `unrolled.vision.VIEWS`: views of each photo to encode, ``whole`` first.
    skip_bad : bool
        Leave out photos that cannot be read instead of stopping at the first.

    Yields
    ------
    FeatureProgress

    Raises
    ------
    ImageError
        If a photo cannot be read and skip_bad is off.
    InputError
        If skip_bad is on and no photo can be read.
    EncoderError
        If the encoder has no grid, and it is asked for.
    FeatureStoreError
        If an interrupted store at ``out`` was begun with another encoder or other photos.
    """
    names = {path: name for name, path in photos.items()}
    bad: list[ImageError] = []
    writer = FeatureWriter(
        out,
        list(photos),
        encoder.identity,
        dim=encoder.dim,
        locations=encoder.grid_shape[0] ** 2 if grid else None,
        views=views,
    )
    with writer:
        remaining = [photos[name] for name in writer.remaining]
        done = len(photos) - len(remaining)
        yield FeatureProgress(done, len(photos))

        def leave_out(_: Path, error: ImageError) -> None:
            bad.append(error)

        on_error: OnError = leave_out if skip_bad else "raise"
        several = views if len(views) > 1 else None
        encoded = encoder.features(remaining, grid=grid, views=several, on_error=on_error)
        for path, pooled, places in encoded:
            if places is not None:
                places = places.reshape(*places.shape[:-3], -1, encoder.dim)
            writer.add(names[path], pooled, places)
            done += 1
            yield FeatureProgress(done + len(bad), len(photos))
        for error in bad:
            yield FeatureProgress(len(photos), len(photos), error)
        if len(bad) == len(photos):
            raise InputError(f"{out}: none of the {len(photos):,} photos can be read")
