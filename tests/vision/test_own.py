"""An ONNX file of the user's as an encoder: what its settings say, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from made_photos import made_photo
from onnx import TensorProto, helper

from unrolled.errors import EncoderError
from unrolled.vision import Encoder, load_photo

SIZE = 8
MEAN, SCALE = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]


def write(
    path: Path,
    settings: dict[str, Any],
    *,
    layout: str = "NCHW",
    kind: int = TensorProto.FLOAT,
    batch: int | str = "N",
) -> Path:
    """Write a network whose grid is the mean colour of each quarter, pooled that of the photo."""
    nodes = [helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT)]
    shape: list[int | str] = [batch, 3, SIZE, SIZE]
    planes = "float"
    if layout == "NHWC":
        shape = [batch, SIZE, SIZE, 3]
        planes = "planes"
        nodes.append(helper.make_node("Transpose", ["float"], [planes], perm=[0, 3, 1, 2]))
    half = [SIZE // 2, SIZE // 2]
    nodes += [
        helper.make_node("AveragePool", [planes], ["map"], kernel_shape=half, strides=half),
        helper.make_node("Transpose", ["map"], ["map_last"], perm=[0, 2, 3, 1]),
        helper.make_node("GlobalAveragePool", [planes], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Reshape", ["map_last", "three"], ["tokens"]),
        helper.make_node("Concat", ["flat", "flat"], ["wide"], axis=1),
    ]
    outputs = ["map", "map_last", "pool", "flat", "tokens", "wide"]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [helper.make_tensor("three", TensorProto.INT64, [3], [0, 4, 3])],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    path.with_suffix(".json").write_text(json.dumps(settings))
    return path


def settings(**changes: Any) -> dict[str, Any]:
    plain = {"size": SIZE, "mean": MEAN, "scale": SCALE, "pooled": "flat", "grid": "map"}
    return {key: value for key, value in (plain | changes).items() if value is not None}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    made_photo(2, 30, 20).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def colours(photo: Path, mean: list[float] = MEAN, scale: list[float] = SCALE) -> np.ndarray:
    pixels = (load_photo(photo, SIZE).astype(float) - mean) / scale
    return pixels.reshape(2, SIZE // 2, 2, SIZE // 2, 3).mean(axis=(1, 3))


@pytest.mark.parametrize(
    ("changes", "network"),
    [
        ({}, {}),
        ({"pooled": "pool"}, {"batch": 1}),  # (N, D, 1, 1)
        ({"pooled": None}, {}),  # the mean of the grid
        ({"grid": "tokens"}, {"batch": 1}),
        ({"layout": "NHWC", "grid": "map_last"}, {"layout": "NHWC"}),
        ({}, {"kind": TensorProto.FLOAT16}),
    ],
)
def test_features_are_as_the_settings_say(
    photo: Path, tmp_path: Path, changes: dict[str, Any], network: dict[str, Any]
) -> None:
    encoder = Encoder.load(str(write(tmp_path / "net.onnx", settings(**changes), **network)))
    assert (encoder.dim, encoder.grid_shape) == (3, (2, 2, 3))
    first, second = encoder.features([photo, photo], grid=True)
    tolerance = 2e-3 if network.get("kind") == TensorProto.FLOAT16 else 1e-5
    np.testing.assert_allclose(first.grid, colours(photo), atol=tolerance)
    np.testing.assert_allclose(first.pooled, colours(photo).mean((0, 1)), atol=tolerance)
    assert np.array_equal(first.grid, second.grid)


def test_pixels_may_go_in_as_they_are(photo: Path, tmp_path: Path) -> None:
    plain = settings(mean=None, scale=None)
    path = write(tmp_path / "net.onnx", plain, kind=TensorProto.UINT8)
    (found,) = Encoder.load(str(path)).features([photo], grid=True)
    np.testing.assert_allclose(found.grid, colours(photo, [0.0] * 3, [1.0] * 3), rtol=1e-5)
    write(path, settings(), kind=TensorProto.UINT8)
    with pytest.raises(EncoderError, match="takes pixels as they are; leave out mean and scale"):
        Encoder.load(str(path))


def test_one_without_a_grid(photo: Path, tmp_path: Path) -> None:
    encoder = Encoder.load(str(write(tmp_path / "net.onnx", settings(grid=None, pooled="wide"))))
    assert encoder.dim == 6
    with pytest.raises(EncoderError, match=r"net\.onnx has no grid; name an output"):
        encoder.features([photo], grid=True)


def test_it_joins_the_others(photo: Path, tmp_path: Path, cache_folder: Path) -> None:
    path = write(tmp_path / "a+b.onnx", settings())
    own = Encoder.load(str(path))  # a + in the path of a single file is no join
    path = path.rename(tmp_path / "net.onnx")
    (tmp_path / "a+b.json").rename(tmp_path / "net.json")
    encoder = Encoder.load(f"lite0@64+{path}", cache=cache_folder)
    assert (encoder.dim, encoder.grid_shape) == (1283, (2, 2, 1283))
    (both,), (alone,) = encoder.features([photo], grid=True), own.features([photo], grid=True)
    assert np.array_equal(both.pooled[1280:], alone.pooled)
    assert np.array_equal(both.grid[..., 1280:], alone.grid)


def test_the_identity_is_its_bytes_and_settings_and_not_its_place(tmp_path: Path) -> None:
    first = Encoder.load(str(write(tmp_path / "net.onnx", settings())))
    (tmp_path / "else").mkdir()
    moved = Encoder.load(str(write(tmp_path / "else" / "other.onnx", settings())))
    assert moved.identity == first.identity
    assert str(tmp_path) not in str(first.identity)
    changes = [
        (settings(mean=0), {}),
        (settings(scale=2), {}),
        (settings(pooled=None), {}),
        (settings(grid=None), {}),
        (settings(), {"batch": 1}),  # another graph
    ]
    found = [first.identity]
    for number, (each, network) in enumerate(changes):
        path = write(tmp_path / f"{number}.onnx", each, **network)
        found.append(Encoder.load(str(path)).identity)
    assert len({tuple(identity.items()) for identity in found}) == 6


def test_a_model_needs_to_be_told_where_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "net.onnx", settings())
    encoder = Encoder.load(str(path))
    with pytest.raises(EncoderError, match=r"m: made with an ONNX file; say where it is .*--enc"):
        Encoder.from_identity(encoder.identity, where="m")
    again = Encoder.from_identity(encoder.identity, where="m", name=str(path))
    assert again.identity == encoder.identity
    write(path, settings(mean=1))
    with pytest.raises(EncoderError, match=r"m: made by another encoder .*normalisation: expected"):
        Encoder.from_identity(encoder.identity, where="m", name=str(path))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{", r"net\.json: not JSON"),
        ("[" * 100_000, r"net\.json: (not JSON|larger)"),
        ("[]", "expected an object of size, mean, scale, layout, pooled, grid, got \\[\\]"),
        (settings(means=1), "expected an object of size, .*, got size, .*means"),
        (settings(size=None), "size must be 1 to 1024 pixels, got None"),
        (settings(size=True), "size must be 1 to 1024 pixels, got True"),
        (settings(size=99999), "size must be 1 to 1024 pixels, got 99999"),
        (settings(size=SIZE + 1), r"cannot encode a photo of 9 x 9 pixels"),
        (settings(mean=[1, 2]), r"mean must be a number or three, got \[1, 2\]"),
        (settings(mean=["1", 2, 3]), "mean must be a number or three"),
        (settings(scale=float("nan")), "scale must be a number or three, got nan"),
        (settings(scale=[1, 0, 1]), "scale must not be zero"),
        (settings(layout="NHWC"), "cannot encode a photo of 8 x 8 pixels"),
        (settings(layout="CHW"), "layout must be NCHW or NHWC, got 'CHW'"),
        (settings(pooled=3), "must be names of outputs, got 3"),
        (settings(pooled=None, grid=None), "name an output of the network"),
        (settings(pooled="logits"), "has no output 'logits'; there are map, "),
        (settings(pooled="map"), r"map must be \(N, D\), got \(1, 3, 2, 2\)"),
        (settings(grid="flat"), r"flat must have places in a square, got \(1, 3\)"),
        (settings(pooled="wide"), r"its grid must be \(G, G, 6\), as wide as the pooled"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, given: Any, message: str) -> None:
    path = write(tmp_path / "net.onnx", settings())
    text = given if isinstance(given, str) else json.dumps(given)
    path.with_suffix(".json").write_text(text)
    with pytest.raises(EncoderError, match=message):
        Encoder.load(str(path))


def test_files_that_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(EncoderError, match=r"net\.json: no such file; an encoder of your own is"):
        Encoder.load(str(path))
    write(path, settings(), batch=4)
    with pytest.raises(EncoderError, match="takes 4 photos at once"):
        Encoder.load(str(path))
    write(path, settings(), kind=TensorProto.DOUBLE)
    with pytest.raises(EncoderError, match=r"expected one input of float, .* got x tensor\(double"):
        Encoder.load(str(path))
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(EncoderError, match=r"net\.onnx: not an ONNX file that can be read"):
        Encoder.load(str(path))
    path.unlink()
    with pytest.raises(EncoderError, match=r"net\.onnx: no such file"):
        Encoder.load(str(path))


@pytest.mark.parametrize("place", ["graph", "branch", "function", "default", "training"])
def test_weights_in_other_files_are_refused(tmp_path: Path, place: str) -> None:
    """They could be any file, and would not enter the checksum."""
    path = write(tmp_path / "net.onnx", settings())
    model = onnx.load(path)
    outside = helper.make_tensor("secret", TensorProto.FLOAT, [1], [0.0])
    outside.ClearField("float_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="../../etc/passwd")
    constant = helper.make_node("Constant", [], ["y"], value=outside)
    if place == "function":
        model.functions.append(
            helper.make_function("own", "f", [], ["y"], [constant], model.opset_import)
        )
    elif place == "default":
        function = helper.make_function("own", "f", [], [], [], model.opset_import)
        function.attribute_proto.append(helper.make_attribute("value", outside))
        model.functions.append(function)
    elif place == "training":
        model.training_info.add().algorithm.initializer.append(outside)
    elif place == "branch":
        branch = helper.make_graph([constant], "branch", [], [])
        model.graph.node.append(helper.make_node("If", ["x"], [], then_branch=branch))
    else:
        model.graph.initializer.append(outside)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EncoderError, match="its weights 'secret' lie in another file"):
        Encoder.load(str(path))
