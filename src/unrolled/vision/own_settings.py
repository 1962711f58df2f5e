"""The settings beside an ONNX file of one's own; `unrolled.vision.own` says what they mean."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from unrolled.errors import EncoderError
from unrolled.vision.network import MAX_SIZE

__all__ = ["Settings", "read_bounded", "read_settings"]

_MAX_SETTINGS_BYTES = 1 << 16
_LAYOUTS = ("NCHW", "NHWC")

Channels = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What ``net.json`` says; in its order."""

    size: int
    mean: Channels
    scale: Channels
    layout: str
    pooled: str | None
    grid: str | None

    @property
    def scaled(self) -> bool:
        """Whether pixels are changed before the network gets them."""
        return any(self.mean) or any(gain != 1 for gain in self.scale)


def read_bounded(path: Path, most: int) -> bytes:
    """Read a file of at most so many bytes.

    Raises
    ------
    EncoderError
        It is missing, larger, or cannot be read.
    """
    try:
        if not path.is_file():
            raise EncoderError(
                f"{path}: no such file; an encoder of your own is an ONNX file, net.onnx, with its "
                "settings beside it, net.json"
            )
        if path.stat().st_size > most:
            raise EncoderError(f"{path}: larger than the {most:,} bytes that are read")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise EncoderError(f"{path}: cannot be read ({error})") from error


def read_settings(path: Path) -> Settings:
    """Read and check the settings of an ONNX file.

    Raises
    ------
    EncoderError
        They are missing, no JSON, or one of them is wrong.
    """
    try:
        given = json.loads(read_bounded(path, _MAX_SETTINGS_BYTES))
    except (ValueError, RecursionError) as error:
        raise EncoderError(f"{path}: not JSON ({error})") from error
    known = [field.name for field in dataclasses.fields(Settings)]
    if not isinstance(given, dict) or not given.keys() <= set(known):
        got = ", ".join(map(str, given)) if isinstance(given, dict) else repr(given)
        raise EncoderError(f"{path}: expected an object of {', '.join(known)}, got {got}")
    size = given.get("size")
    if type(size) is not int or not 1 <= size <= MAX_SIZE:
        raise EncoderError(f"{path}: size must be 1 to {MAX_SIZE} pixels, got {size!r}")
    layout = given.get("layout", _LAYOUTS[0])
    if layout not in _LAYOUTS:
        raise EncoderError(f"{path}: layout must be NCHW or NHWC, got {layout!r}")
    pooled, grid = given.get("pooled"), given.get("grid")
    for name in (pooled, grid):
        if not (name is None or (isinstance(name, str) and name)):
            raise EncoderError(f"{path}: pooled and grid must be names of outputs, got {name!r}")
    if pooled is None and grid is None:
        raise EncoderError(f"{path}: name an output of the network as pooled, as grid, or both")
    mean = _channels(path, "mean", given.get("mean", 0))
    scale = _channels(path, "scale", given.get("scale", 1))
    if 0 in scale:
        raise EncoderError(f"{path}: scale must not be zero, got {list(scale)}")
    return Settings(size, mean, scale, layout, pooled, grid)


def _channels(path: Path, key: str, value: object) -> Channels:
    numbers: list[Any] = value if isinstance(value, list) else [value] * 3
    if len(numbers) != 3 or not all(
        type(number) in (int, float) and abs(number) < 1e6 for number in numbers
    ):
        raise EncoderError(f"{path}: {key} must be a number or three, got {value!r}")
    red, green, blue = map(float, numbers)
    return red, green, blue
