"""Turn EfficientNet-Lite's weights into one ONNX graph, from uint8 photos to features.

BatchNorm is folded into the convolutions, ``w' = w g / sqrt(v + eps)`` and
``b' = beta - m g / sqrt(v + eps)``, in float64 and rounded once. The input's normalisation
``(x - 127) / 128`` keeps its subtraction as a step of its own: the convolutions pad with zeros
*after* it, and a mean folded into the weights would shine through at the borders. The division,
by a power of two, goes into the first convolution exactly.

References
----------
Tan & Le (2019), arXiv:1905.11946, table 1; EfficientNet-Lite's ``efficientnet_lite_builder.py``:
no squeeze-and-excitation, ReLU6 in place of swish, stem and head not scaled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unrolled.errors import EncoderError

__all__ = ["GRAPH_VERSION", "NORMALISATION", "build_graph", "grid_side", "same_padding"]

GRAPH_VERSION = 1  # goes up with every change here that alters what the graph computes
_OPSET = 17
_IR_VERSION = 8
_EPSILON = 1e-3
_MEAN, _DEVIATION = 127, 128

NORMALISATION = f"(x - {_MEAN}) / {_DEVIATION}"
"""How pixels are scaled, as an encoder's identity records it."""

Weights = Mapping[str, NDArray[Any]]


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expand: int


_STAGES = (
    _Stage(1, 3, 1, 1),
    _Stage(2, 3, 2, 6),
    _Stage(2, 5, 2, 6),
    _Stage(3, 3, 2, 6),
    _Stage(3, 5, 1, 6),
    _Stage(4, 5, 2, 6),
    _Stage(1, 3, 1, 6),
)


def _blocks(depth: float) -> list[_Stage]:
    """List the blocks of a network; the first and last stage are never deepened."""
    blocks = []
    for index, stage in enumerate(_STAGES):
        fixed = index in (0, len(_STAGES) - 1)
        repeats = stage.repeats if fixed else math.ceil(depth * stage.repeats)
        blocks += [stage] + [stage._replace(stride=1)] * (repeats - 1)
    return blocks


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return TensorFlow's SAME padding (before, after) along one axis; the odd pixel goes after.

    ``total = max((ceil(size / stride) - 1) stride + kernel - size, 0)``
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def grid_side(size: int) -> int:
    """Return the side of the feature grid that an input of ``size`` pixels gives."""
    return math.ceil(size / 32)


class _Graph:
    """Nodes and weights so far, and the side of the picture where it has got to."""

    def __init__(self, weights: Weights, size: int) -> None:
        self.weights = weights
        self.size = size
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def _folded(self, conv: str, norm: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        parts = [f"{conv}.weight"]
        parts += [f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        try:
            w, gamma, beta, mean, var = (self.weights[part].astype(np.float64) for part in parts)
        except KeyError as error:
            raise EncoderError(f"the encoder's weights lack {error.args[0]!r}") from None
        scale = gamma / np.sqrt(var + _EPSILON)
        return w * scale[:, None, None, None], beta - mean * scale

    def convolve(
        self, x: str, conv: str, norm: str, *, stride: int = 1, clip: bool = True, gain: float = 1.0
    ) -> str:
        """Add a convolution with its norm folded in, and ReLU6 where ``clip``."""
        weight, bias = self._folded(conv, norm)
        kernel = weight.shape[2]
        before, after = same_padding(self.size, kernel, stride)
        x = self.node(
            "Conv",
            [
                x,
                self.constant(f"{conv}.weight", (weight * gain).astype(np.float32)),
                self.constant(f"{conv}.bias", bias.astype(np.float32)),
            ],
            conv,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=weight.shape[0] if conv.endswith("_depthwise_conv") else 1,
        )
        self.size = math.ceil(self.size / stride)
        return self.node("Clip", [x, "zero", "six"], f"{conv}.relu6") if clip else x

    def block(self, x: str, index: int, block: _Stage) -> str:
        """Add an inverted bottleneck: widen, filter each channel, narrow, add the input."""
        at = f"_blocks.{index}."
        out = x
        if block.expand != 1:
            out = self.convolve(out, at + "_expand_conv", at + "_bn0")
        out = self.convolve(out, at + "_depthwise_conv", at + "_bn1", stride=block.stride)
        out = self.convolve(out, at + "_project_conv", at + "_bn2", clip=False)
        expand = self.weights.get(at + "_expand_conv.weight")
        width = self.weights[at + "_project_conv.weight"].shape[0]
        if block.stride == 1 and expand is not None and expand.shape[1] == width:
            out = self.node("Add", [out, x], at + "sum")
        return out


def build_graph(weights: Weights, *, depth: float, size: int) -> bytes:
    """Build the ONNX graph of an EfficientNet-Lite for square photos of one size.

    Input ``photos`` (N, size, size, 3) uint8; outputs ``pooled`` (N, C) and ``grid``
    (N, G, G, C) float32, with G = ceil(size / 32) and C = 1280.

    Parameters
    ----------
    weights : mapping of str to ndarray
        The state dict.
    depth : float
        The network's depth coefficient.
    size : int
        Side of the input in pixels.

    Returns
    -------
    bytes
        A serialized ``ModelProto``.

    Raises
    ------
    EncoderError
        The weights lack a tensor, or do not fit together.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph(weights, size)
    graph.constant("zero", np.float32(0)[...])
    graph.constant("six", np.float32(6)[...])
    graph.constant("mean", np.float32(_MEAN)[...])
    x = graph.node("Transpose", ["photos"], "channels_first", perm=[0, 3, 1, 2])
    x = graph.node("Cast", [x], "float", to=TensorProto.FLOAT)
    x = graph.node("Sub", [x, "mean"], "centred")
    x = graph.convolve(x, "_conv_stem", "_bn0", stride=2, gain=1 / _DEVIATION)
    for index, block in enumerate(_blocks(depth)):
        x = graph.block(x, index, block)
    x = graph.convolve(x, "_conv_head", "_bn1")
    graph.node("Flatten", [graph.node("GlobalAveragePool", [x], "mean_pool")], "pooled")
    graph.node("Transpose", [x], "grid", perm=[0, 2, 3, 1])

    side, width = graph.size, weights["_conv_head.weight"].shape[0]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "efficientnet-lite",
            [helper.make_tensor_value_info("photos", TensorProto.UINT8, ["N", size, size, 3])],
            [
                helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["N", width]),
                helper.make_tensor_value_info("grid", TensorProto.FLOAT, ["N", side, side, width]),
            ],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="unrolled",
        model_version=GRAPH_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
