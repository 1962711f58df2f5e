"""Save a model and what resuming needs, and load it again: the checkpoint's format, version 1.

========================  ==================================================================
model.safetensors         the parameters
config.json               ``"format": "unrolled-checkpoint"``, ``"version": 1``, and the caller's
vocab.json                the vocabulary, as the caller gives it
optimizer.safetensors     to resume: what the update rule remembers
state.json                to resume: where training stands
SHA256SUMS                ``sha256sum -c SHA256SUMS`` checks all of them
========================  ==================================================================
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import DTypeLike

from unrolled.checkpoint.folder import places, replace_folder
from unrolled.checkpoint.verified import LIMITS, SUMS, TO_RESUME, format_sums, read_folder
from unrolled.errors import CheckpointError, InputError
from unrolled.layers.arrays import Array

FORMAT = "unrolled-checkpoint"
VERSION = 1
_READ_ATTEMPTS = 5


class Checkpoint(NamedTuple):
    """What `load` gives back."""

    params: dict[str, Array]
    """float32, or float64 where stored so."""
    config: dict[str, Any]
    vocab: dict[str, Any]
    optimizer: dict[str, Array] | None = None
    """What the update rule remembers; None unless asked for."""
    state: dict[str, Any] | None = None
    """Where training stands; None unless asked for."""


def save(
    path: str | os.PathLike[str],
    *,
    params: Mapping[str, Array],
    config: Mapping[str, Any],
    vocab: Mapping[str, Any],
    optimizer: Mapping[str, Array] | None = None,
    state: Mapping[str, Any] | None = None,
    constants: Mapping[str, Array] | None = None,
    dtype: DTypeLike | None = None,
) -> None:
    """Write a checkpoint, in the place of the one at ``path`` if there is one.

    A crash, a kill or a power cut at any instant leaves a complete checkpoint that `load` finds:
    the new one is written and flushed beside the old one, as ``.NAME.saving``, and takes its place
    by two renames (see `unrolled.checkpoint.folder`). Files that somebody put into the folder stay.

    Parameters
    ----------
    path : path of a folder
        Made with its parents if missing. One process writes it at a time.
    params : mapping of str to float array
    config, vocab : mapping that JSON can hold
    optimizer : mapping of str to array, optional
    state : mapping that JSON can hold, optional
        Together with ``optimizer`` or not at all.
    constants : mapping of str to float array, optional
        What the model has beside its parameters; kept with them, but in their own dtype.
    dtype : dtype, optional
        Of the stored parameters, such as float16 for shipping; their own unless given.

    Raises
    ------
    InputError
        If an argument cannot be stored, a parameter is not finite, or too large for ``dtype``.
    CheckpointError
        If ``path`` is something else than a checkpoint, or cannot be written. What was there is
        kept.
    """
    if (optimizer is None) != (state is None):
        raise InputError("save: resuming needs optimizer and state together; give both or neither")
    reserved = {"format", "version"} & set(config)
    if reserved:
        raise InputError(f"save: config must not have the keys {sorted(reserved)}: they are ours")
    stored = _stored_params(params, dtype)
    if constants:
        if stored.keys() & constants.keys():
            raise InputError("save: constants must not have the names of parameters")
        stored |= _stored_params(constants, None)
    files = {
        "model.safetensors": _tensor_bytes(stored),
        "config.json": _json_bytes("config", {"format": FORMAT, "version": VERSION, **config}),
        "vocab.json": _json_bytes("vocab", vocab),
    }
    if optimizer is not None and state is not None:
        files["optimizer.safetensors"] = _tensor_bytes(optimizer)
        files["state.json"] = _json_bytes("state", state)
    for name, data in files.items():
        if len(data) > LIMITS[name]:
            raise InputError(f"save: {name} would have {len(data):,} bytes of {LIMITS[name]:,}")
    files[SUMS] = format_sums(files)
    target = Path(path)
    _refuse_foreign(target)
    try:
        replace_folder(target, files, ours=LIMITS, is_complete=_is_complete)
    except OSError as error:
        raise CheckpointError(
            f"{path}: could not be saved ({error.strerror or error}). A checkpoint that was "
            "there before is still there"
        ) from error


def load(path: str | os.PathLike[str], *, resume: bool = False) -> Checkpoint:
    """Read a checkpoint; every byte of it is held to its checksum before it is used.

    After a crash between the two renames of `save` there is no folder at ``path``; then the
    complete one beside it is read, ``.NAME.saving`` (the newer) or else ``.NAME.replaced``.
    Loading changes nothing on the disk, and may happen while another process saves.

    Parameters
    ----------
    path : path of a folder
    resume : bool
        Also give what resuming needs.

    Returns
    -------
    Checkpoint

    Raises
    ------
    CheckpointError
        If a file is missing, damaged, oversized, malformed or of another format or version, a
        parameter is not finite, or ``resume`` is asked of a checkpoint without training state. The
        message names the file.
    """
    target = Path(path)
    for attempt in range(_READ_ATTEMPTS):
        before = _identity(target)
        try:
            return _load_first(target, resume)
        except CheckpointError:
            # Another process may have put a new checkpoint in the place of the one half read.
            if _identity(target) == before or attempt == _READ_ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")  # pragma: no cover


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is a checkpoint that `load` would find, its every byte as it was saved.

    Parameters
    ----------
    path : path of a folder

    Returns
    -------
    bool
    """
    return any(map(_is_complete, places(Path(path))))


def _load_first(target: Path, resume: bool) -> Checkpoint:
    """Read the first complete folder among those where the checkpoint may be."""
    beside = ""
    for place in places(target):
        try:
            return _interpret(place, read_folder(place), resume)
        except CheckpointError as error:
            if place.name == Path(os.path.realpath(target)).name:
                raise
            beside += f". Beside it is one that was never finished ({error})"
    raise CheckpointError(f"{target}: no checkpoint: there is no such folder{beside}")


def _interpret(folder: Path, files: dict[str, bytes], resume: bool) -> Checkpoint:
    """Turn the bytes of a checkpoint's files into what they mean."""
    config = _parse_json(folder / "config.json", files)
    kind, version = config.pop("format", None), config.pop("version", None)
    if kind != FORMAT or type(version) is not int:
        raise CheckpointError(
            f"{folder / 'config.json'}: expected format {FORMAT!r} and a whole version, got "
            f"{kind!r} and {version!r}: a folder of another program"
        )
    if version != VERSION:
        raise CheckpointError(
            f"{folder / 'config.json'}: version {version} of the format, where this Unrolled "
            f"reads version {VERSION}. Upgrade with: pip install -U unrolled"
        )
    stored = _parse_tensors(folder / "model.safetensors", files)
    params = {name: _usable(folder, name, array) for name, array in stored.items()}
    vocab = _parse_json(folder / "vocab.json", files)
    if not resume:
        return Checkpoint(params, config, vocab)
    if TO_RESUME[0] not in files:
        raise CheckpointError(
            f"{folder}: holds a model but no training state ({', '.join(TO_RESUME)}), so training "
            "cannot go on from it. Use the checkpoint that training itself saved last"
        )
    optimizer = _parse_tensors(folder / "optimizer.safetensors", files)
    return Checkpoint(params, config, vocab, optimizer, _parse_json(folder / "state.json", files))


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell one folder from another that took its place."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns


def _is_complete(folder: Path) -> bool:
    try:
        read_folder(folder)
    except CheckpointError:
        return False
    return True


def _refuse_foreign(path: Path) -> None:
    """Refuse to take the place of anything but a checkpoint or an empty folder."""
    if path.is_dir():
        if (path / SUMS).exists() or not any(path.iterdir()):
            return
        found = f"a folder without {SUMS}"
    elif os.path.lexists(path) and not path.is_symlink():
        found = "a file"
    else:
        return
    raise CheckpointError(
        f"{path}: {found} is there, which is no checkpoint; nothing was written. "
        "Choose another place, or move it away"
    )


def _stored_params(params: Mapping[str, Array], dtype: DTypeLike | None) -> dict[str, Array]:
    """Hold parameters to what a checkpoint stores, in the dtype asked for."""
    if not params:
        raise InputError("save: params is empty; a checkpoint holds at least one parameter")
    stored = {}
    for name, param in params.items():
        wanted = np.dtype(param.dtype if dtype is None else dtype).newbyteorder("=")
        if wanted not in (np.float16, np.float32, np.float64):
            raise InputError(f"save: {name} must be float16, float32 or float64, got {wanted}")
        with np.errstate(over="ignore"):
            stored[name] = param.astype(wanted)
        if not np.isfinite(stored[name]).all():
            raise InputError(
                f"save: {name} holds numbers that are not finite, or too large for {wanted}; "
                "nothing was written. Has training diverged?"
            )
    return stored


def _tensor_bytes(arrays: Mapping[str, Array]) -> bytes:
    # safetensors writes memory as it lies and takes it for C order and little-endian.
    ordered = {
        name: np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
        for name, array in arrays.items()
    }
    if "__metadata__" in ordered:
        raise InputError("save: safetensors keeps the name __metadata__ for itself; rename it")
    try:
        return bytes(safetensors.numpy.save(ordered))
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"save: an array cannot be written as safetensors: {error}") from None


def _parse_tensors(path: Path, files: Mapping[str, bytes]) -> dict[str, Array]:
    try:
        arrays = safetensors.numpy.load(files[path.name])
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a safetensors file that can be read: {error}") from None
    return {name: np.require(array, requirements=["C", "A", "W"]) for name, array in arrays.items()}


def _usable(folder: Path, name: str, array: Array) -> Array:
    """Hold a parameter to what `save` stores; widen half precision, not calculated in."""
    file = folder / "model.safetensors"
    if array.dtype not in (np.float16, np.float32, np.float64):
        raise CheckpointError(
            f"{file}: {name} must be float16, float32 or float64, got {array.dtype}"
        )
    if not np.isfinite(array).all():
        raise CheckpointError(
            f"{file}: {name} holds numbers that are not finite, which no caption can be "
            "calculated from; use another checkpoint"
        )
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _json_bytes(what: str, value: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(dict(value), indent=1, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"save: {what} cannot be written as JSON: {error}") from None


def _parse_json(path: Path, files: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        value = json.loads(files[path.name].decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON that can be read: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON number")
