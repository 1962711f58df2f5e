"""How an encoder is named: ``lite2``, ``lite2@320``, ``net.onnx``, or several joined by ``+``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from unrolled.errors import EncoderError
from unrolled.vision.weights import encoder_spec

__all__ = ["JOIN", "OWN", "Part", "join_identities", "name_of", "parse_name"]

JOIN = "+"
"""What stands between the names of networks whose features lie side by side."""

OWN = "onnx"
"""What the identity of an ONNX file of the user's has as its name; its checksum says which."""

_MAX_PARTS = 8
_SIZED = re.compile(r"(?P<name>[^@]*)@(?P<size>[0-9]{1,5})", re.ASCII)


class Part(NamedTuple):
    """One network of an encoder's name."""

    name: str
    size: int | None = None
    """Side of its input in pixels, where it was said."""
    file: Path | None = None
    """The ONNX file, where it is one of the user's."""


def parse_name(name: str) -> list[Part]:
    """Read an encoder's name.

    Parameters
    ----------
    name : str

    Returns
    -------
    list of Part

    Raises
    ------
    EncoderError
        It names no encoder.
    """
    if name.endswith(".onnx") and Path(name).is_file():  # a path may hold a + of its own
        return [Part(name, file=Path(name))]
    texts = name.split(JOIN)
    if len(texts) > _MAX_PARTS:
        raise EncoderError(f"encoder {name!r}: at most {_MAX_PARTS} can be joined")
    return [_parse_part(text) for text in texts]


def _parse_part(text: str) -> Part:
    if text.endswith(".onnx"):
        return Part(text, file=Path(text))
    sized = _SIZED.fullmatch(text)
    part = Part(sized["name"], int(sized["size"])) if sized else Part(text)
    encoder_spec(part.name)
    return part


def join_identities(identities: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Make one identity of those of networks side by side; a single one stays as it is.

    Parameters
    ----------
    identities : sequence of mapping of str to str

    Returns
    -------
    dict of str to str
        Each one's entries with its number, from 1, before them, and their names joined.
    """
    if len(identities) == 1:
        return dict(identities[0])
    joined = {"name": JOIN.join(identity["name"] for identity in identities)}
    for number, identity in enumerate(identities, 1):
        joined |= {f"{number}.{key}": value for key, value in identity.items()}
    return joined


def name_of(identity: Mapping[str, str], *, where: str) -> str:
    """Find the name that an encoder's identity stands for.

    Parameters
    ----------
    identity : mapping of str to str
    where : str
        What carries it, for the message.

    Returns
    -------
    str
        For `parse_name`.

    Raises
    ------
    EncoderError
        The encoder is unknown here, or an ONNX file, whose place no identity says.
    """
    names = identity.get("name", "").split(JOIN)
    if len(names) == 1:
        return _named(names[0], identity.get("size", ""), where)
    sizes = [identity.get(f"{number}.size", "") for number in range(1, len(names) + 1)]
    return JOIN.join(_named(name, size, where) for name, size in zip(names, sizes, strict=True))


def _named(name: str, size: str, where: str) -> str:
    if name == OWN:
        raise EncoderError(
            f"{where}: made with an ONNX file; say where it is by the encoder's name, on the "
            "command line with --encoder"
        )
    if not (size.isascii() and size.isdigit() and len(size) < 6):
        raise EncoderError(f"{where}: its encoder's size is {size!r}, expected a number")
    return f"{name}@{size}"
