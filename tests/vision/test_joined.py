"""Encoders by name: sizes, and several joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import EncoderError, InputError, ShapeError
from unrolled.vision import Encoder, photos
from unrolled.vision.names import Part, join_identities, name_of, parse_name


@pytest.fixture(scope="module")
def joined(cache_folder: Path) -> Encoder:
    return Encoder.load("lite0@64+lite1@64", cache=cache_folder)


def test_joined_features_are_those_of_each_side_by_side(
    joined: Encoder, cache_folder: Path, photo_folder: Path
) -> None:
    paths = sorted(photo_folder.glob("*.jpg"))[:5]
    singles = [Encoder.load(name, size=64, cache=cache_folder) for name in ("lite0", "lite1")]
    parts = [list(encoder.features(paths, grid=True)) for encoder in singles]
    assert joined.dim == 2560
    assert joined.grid_shape == (2, 2, 2560)
    for both, *each in zip(joined.features(paths, grid=True), *parts, strict=True):
        assert np.array_equal(both.pooled, np.concatenate([one.pooled for one in each]))
        assert np.array_equal(both.grid, np.concatenate([one.grid for one in each], axis=-1))


def test_a_photo_is_read_once_for_all_networks(
    photo_folder: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    plain = photos._read
    monkeypatch.setattr(photos, "_read", lambda path: read.append(path) or plain(path))
    encoder = Encoder.load("lite0@64+lite0@96", cache=cache_folder)
    paths = sorted(photo_folder.glob("*.jpg"))[:3]
    assert [photo.pooled.shape for photo in encoder.features(paths)] == [(2560,)] * 3
    assert sorted(read) == paths


def test_grids_of_different_sizes_cannot_be_joined(cache_folder: Path) -> None:
    encoder = Encoder.load("lite0@64+lite1@96", cache=cache_folder)
    assert encoder.encode(
        np.zeros((2, 64, 64, 3), np.uint8), np.zeros((2, 96, 96, 3), np.uint8)
    ).pooled.shape == (2, 2560)
    for ask in (
        lambda: encoder.grid_shape,
        lambda: encoder.features([], grid=True),
        lambda: encoder.encode(np.zeros((0, 64, 64, 3)), np.zeros((0, 96, 96, 3)), grid=True),
    ):
        with pytest.raises(EncoderError, match=r"\(lite0@64 2 x 2, lite1@96 3 x 3\); choose input"):
            ask()


def test_arrays_that_do_not_fit_the_networks(joined: Encoder) -> None:
    one = np.zeros((2, 64, 64, 3), np.uint8)
    for wrong in ((one,), (one, one, one), (one, one[:1])):
        with pytest.raises(ShapeError, match=r"expected 2 arrays of as many photos"):
            joined.encode(*wrong)


def test_the_identity_tells_encoders_apart(joined: Encoder, cache_folder: Path) -> None:
    names = ["lite0@64", "lite0@96", "lite1@64", "lite0@64+lite1@64", "lite1@64+lite0@64"]
    encoders = [Encoder.load(name, cache=cache_folder) for name in names]
    assert [encoder.name for encoder in encoders] == names
    assert len({tuple(encoder.identity.items()) for encoder in encoders}) == len(names)
    assert Encoder.load("lite0@224", cache=cache_folder).name == "lite0"
    assert joined.identity["2.size"] == "64"
    assert joined.identity["name"] == "lite0+lite1"


def test_a_model_finds_joined_encoders(
    joined: Encoder, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unrolled.vision.cache.default_folder", lambda: cache_folder)
    found = Encoder.from_identity(joined.identity, where="model")
    assert (found.name, found.identity) == (joined.name, joined.identity)
    changed = joined.identity | {"2.weights_sha256": "0" * 64}
    with pytest.raises(EncoderError, match=r"m: .*2\.weights_sha256: expected .*, got '0000"):
        Encoder.from_identity(changed, where="m")
    for key, value in (("2.size", "x"), ("name", "lite0+lite1+lite2"), ("name", "lite1")):
        with pytest.raises(EncoderError, match="m: its encoder's size is"):
            Encoder.from_identity(joined.identity | {key: value}, where="m")
    with pytest.raises(EncoderError, match=r"m: made by another encoder .*expected '96', got '64'"):
        Encoder.from_identity({**joined.identity}, where="m", name="lite0@96+lite1@64")


@given(
    st.lists(
        st.tuples(st.sampled_from(["lite0", "lite1", "lite2"]), st.none() | st.integers(0, 99999)),
        min_size=1,
        max_size=8,
    )
)
def test_names_are_read_back(parts: list[tuple[str, int | None]]) -> None:
    text = "+".join(name if size is None else f"{name}@{size}" for name, size in parts)
    assert parse_name(text) == [Part(*part) for part in parts]
    identities = [{"name": name, "size": str(size or 7)} for name, size in parts]
    joined = join_identities(identities)
    assert name_of(joined, where="w") == "+".join(f"{n}@{size or 7}" for n, size in parts)


@pytest.mark.parametrize(
    "name", ["", "+", "lite0+", "lite0@", "lite0@x", "lite0@-64", "lite0@64@64", "lite0 + lite1"]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(EncoderError, match="unknown encoder"):
        Encoder.load(name)


def test_sizes_and_numbers_out_of_range() -> None:
    with pytest.raises(InputError, match="size must be 32 to 1024 pixels, got 2000"):
        Encoder.load("lite0@2000")
    with pytest.raises(EncoderError, match="at most 8 can be joined"):
        Encoder.load("+".join(["lite0"] * 9))
    for name in ("lite0+lite1", "lite0@64"):
        with pytest.raises(InputError, match="says its sizes; leave out size=64"):
            Encoder.load(name, size=64)
