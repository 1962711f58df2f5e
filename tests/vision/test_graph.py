"""The graph against a plain NumPy forward pass, with padding and BatchNorm written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import EncoderError
from unrolled.vision.graph import build_graph, grid_side, same_padding
from unrolled.vision.runtime import start_session
from unrolled.vision.weights import ENCODERS, read_weights

# (repeats, kernel, stride, expand), from table 1 of Tan & Le (2019)
STAGES = [(1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6)]
STAGES += [(1, 3, 1, 6)]


def slow_conv(x: np.ndarray, w: np.ndarray, stride: int, depthwise: bool = False) -> np.ndarray:
    """TensorFlow's SAME convolution of (N, C, H, W), one kernel position at a time."""
    kernel, size = w.shape[2], x.shape[2]
    out = math.ceil(size / stride)
    total = max((out - 1) * stride + kernel - size, 0)
    pad = (total // 2, total - total // 2)
    x = np.pad(x, ((0, 0), (0, 0), pad, pad))
    y = 0.0
    for i in range(kernel):
        for j in range(kernel):
            rows = slice(i, i + (out - 1) * stride + 1, stride)
            columns = slice(j, j + (out - 1) * stride + 1, stride)
            part = x[:, :, rows, columns]
            if depthwise:
                y = y + part * w[None, :, 0, i, j, None, None]
            else:
                y = y + np.einsum("nchw,dc->ndhw", part, w[:, :, i, j], optimize=True)
    return y


def slow_norm(x: np.ndarray, weights: dict[str, np.ndarray], at: str) -> np.ndarray:
    gamma, beta, mean, var = (
        weights[f"{at}.{part}"].astype(np.float64)[:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return gamma * (x - mean) / np.sqrt(var + 1e-3) + beta


def slow_features(photos: np.ndarray, weights: dict[str, np.ndarray], depth: float) -> np.ndarray:
    """The network's grid (N, G, G, C) in float64, nothing folded."""

    def relu6(x: np.ndarray) -> np.ndarray:
        return np.clip(x, 0, 6)

    def conv(x: np.ndarray, name: str, stride: int = 1, depthwise: bool = False) -> np.ndarray:
        return slow_conv(x, weights[f"{name}.weight"].astype(np.float64), stride, depthwise)

    x = (photos.astype(np.float64).transpose(0, 3, 1, 2) - 127) / 128
    x = relu6(slow_norm(conv(x, "_conv_stem", 2), weights, "_bn0"))
    index = 0
    for stage, (repeats, _, first_stride, expand) in enumerate(STAGES):
        deeper = 0 < stage < len(STAGES) - 1
        for repeat in range(math.ceil(repeats * depth) if deeper else repeats):
            at = f"_blocks.{index}."
            stride = first_stride if repeat == 0 else 1
            y = x
            if expand > 1:
                y = relu6(slow_norm(conv(y, at + "_expand_conv"), weights, at + "_bn0"))
            y = conv(y, at + "_depthwise_conv", stride, depthwise=True)
            y = relu6(slow_norm(y, weights, at + "_bn1"))
            y = slow_norm(conv(y, at + "_project_conv"), weights, at + "_bn2")
            x = x + y if repeat > 0 else y
            index += 1
    x = relu6(slow_norm(conv(x, "_conv_head"), weights, "_bn1"))
    return x.transpose(0, 2, 3, 1)


@pytest.mark.parametrize(("name", "size"), [("lite0", 64), ("lite0", 75), ("lite1", 52)])
def test_graph_computes_the_network(name: str, size: int) -> None:
    spec = ENCODERS[name]
    weights = read_weights(spec)
    session = start_session(build_graph(weights, depth=spec.depth, size=size), where=name)
    photos = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    photos[1] = np.linspace(0, 255, size, dtype=np.uint8)[:, None, None]  # a smooth one
    pooled, grid = session.run(["pooled", "grid"], {"photos": photos})
    expected = slow_features(photos, weights, spec.depth)
    assert grid.shape == expected.shape == (2, grid_side(size), grid_side(size), 1280)
    assert grid.dtype == pooled.dtype == np.float32
    np.testing.assert_allclose(grid, expected, atol=2e-4)
    np.testing.assert_allclose(pooled, expected.mean(axis=(1, 2)), atol=1e-4)
    assert expected.std() > 0.1, "a dead network would agree with anything"


@given(
    size=st.integers(1, 600), kernel=st.sampled_from([1, 3, 5, 7]), stride=st.sampled_from([1, 2])
)
def test_same_padding_keeps_the_size(size: int, kernel: int, stride: int) -> None:
    before, after = same_padding(size, kernel, stride)
    assert 0 <= before <= after <= before + 1
    padded = size + before + after
    if padded >= kernel:
        assert (padded - kernel) // stride + 1 == math.ceil(size / stride)


def test_same_padding_of_even_sizes_is_uneven() -> None:
    assert same_padding(224, 3, 2) == (0, 1)
    assert same_padding(56, 5, 2) == (1, 2)
    assert same_padding(65, 3, 2) == (1, 1)
    assert same_padding(112, 3, 1) == (1, 1)
    assert same_padding(7, 1, 1) == (0, 0)


def test_missing_weights_are_named() -> None:
    weights = dict(read_weights(ENCODERS["lite0"]))
    del weights["_blocks.3._bn1.running_var"]
    with pytest.raises(EncoderError, match=r"lack '_blocks\.3\._bn1\.running_var'"):
        build_graph(weights, depth=1.0, size=64)


def test_a_graph_that_is_none_is_a_clear_error() -> None:
    with pytest.raises(EncoderError, match="encoder x: ONNX Runtime cannot load its graph"):
        start_session(b"not a graph", where="encoder x")
