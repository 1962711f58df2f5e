"""A training run's folder: whether it holds a run, and what going on starts from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unrolled import checkpoint
from unrolled.errors import CheckpointError, InputError


def holds_run(out: Path) -> bool:
    """Tell whether a folder holds a training run, even if a kill left it between two renames.

    What a kill left of the very first save is no run: there is nothing in it to go on with.

    Parameters
    ----------
    out : Path

    Returns
    -------
    bool
    """
    return any(
        os.path.lexists(out / kind) or checkpoint.exists(out / kind) for kind in ("last", "best")
    )


def make_folder(out: Path) -> Path:
    """Make a run's folder unless it is there.

    Parameters
    ----------
    out : Path

    Returns
    -------
    Path
        The same.

    Raises
    ------
    InputError
        If it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: the run's folder cannot be made ({error.strerror})") from error
    return out


def load_last(out: Path) -> checkpoint.Checkpoint:
    """Load what a run goes on from.

    Parameters
    ----------
    out : Path
        The run's folder.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointError
        If there is no run, or it is damaged, or the folder's model was made in another way.
    """
    if not holds_run(out):
        raise CheckpointError(f"{out}: there is no run to go on with; start one without --resume")
    last = checkpoint.load(out / "last", resume=True)
    card = last.config.get("card")
    if not (isinstance(card, Mapping) and isinstance(card.get("run"), Mapping)):
        raise CheckpointError(
            f"{out / 'last'}: its card in config.json does not say the run's settings, so training "
            "cannot go on from it; use a folder that `unrolled train` wrote"
        )
    return last


def saved_config(out: str | Path) -> dict[str, Any]:
    """Read the settings of the run in a folder.

    Parameters
    ----------
    out : path

    Returns
    -------
    dict
        Sections, as `RunConfig.from_sections` takes them.

    Raises
    ------
    CheckpointError
        If there is no run to go on with.
    """
    return dict(load_last(Path(out)).config["card"]["run"])
