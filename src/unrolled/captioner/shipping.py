"""The captioners that come with the package, by name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from unrolled.errors import CheckpointError

DEFAULT = "default"
_PLACE = resources.files("unrolled") / "captioners"


def shipped() -> tuple[str, ...]:
    """Name the captioners that come with the package.

    Returns
    -------
    tuple of str
    """
    folders = (each for each in _PLACE.iterdir() if each.joinpath("config.json").is_file())
    return tuple(sorted(folder.name for folder in folders))


@contextmanager
def model_folder(place: str | Path | None) -> Iterator[Path]:
    """Find the folder that a person means: one that is there, before one that ships by that name.

    Parameters
    ----------
    place : path, name or None
        None for the captioner that is used unless another is named.

    Yields
    ------
    Path
        Only for as long as this lasts, as a package may be an archive.

    Raises
    ------
    CheckpointError
        If it is neither a folder that is there nor the name of a captioner that ships.
    """
    name = DEFAULT if place is None else str(place)
    if place is not None and Path(name).exists():
        yield Path(name)
        return
    names = shipped()
    if name not in names:
        raise CheckpointError(
            f"{name}: there is no such folder, and the captioners that come with Unrolled are "
            f"{', '.join(names)}"
        )
    with resources.as_file(_PLACE / name) as folder:
        yield folder
