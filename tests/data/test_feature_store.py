"""The feature store: what was written is read, by us and by safetensors; damage is found."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from unrolled.data import FeatureStore, FeatureWriter
from unrolled.data.feature_file import make_header
from unrolled.errors import FeatureStoreError

ENCODER = {"name": "lite0", "weights": "sha256:ab", "input": "224", "normalisation": "(x-127)/128"}


def rows(names: list[str], dim: int = 3, locations: int | None = None):
    rng = np.random.default_rng(len(names))
    pooled = rng.standard_normal((len(names), dim), dtype=np.float32)
    grid = None if locations is None else rng.standard_normal((len(names), locations, dim))
    return pooled, None if grid is None else grid.astype(np.float16)


def write(path: Path, names: list[str], locations: int | None = None, dim: int = 3, **kwargs):
    pooled, grid = rows(names, dim, locations)
    with FeatureWriter(path, names, ENCODER, dim=dim, locations=locations, **kwargs) as writer:
        for at, name in enumerate(names):
            writer.add(name, pooled[at], None if grid is None else grid[at])
    return pooled, grid


name_lists = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9),
    min_size=1,
    max_size=12,
    unique=True,
)


@settings(deadline=None, max_examples=30)
@given(names=name_lists, dim=st.integers(1, 5), locations=st.none() | st.integers(1, 4))
def test_round_trip_here_and_in_safetensors(names, dim: int, locations: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.safetensors"
        pooled, grid = write(path, names, locations, dim, chunk=3)
        assert [file.name for file in Path(folder).iterdir()] == [path.name]
        store = FeatureStore.open(path)
        store.verify()
        store.check_encoder(ENCODER)
        assert store.names == tuple(names)
        assert store.encoder == ENCODER
        assert (len(store), store.dim) == (len(names), dim)
        np.testing.assert_array_equal(store.pooled, pooled)
        assert (store.pooled.dtype, store.pooled.flags.writeable) == (np.float32, False)
        assert [store.index(name) for name in names] == list(range(len(names)))
        assert names[0] in store
        loaded = load_file(path)
        np.testing.assert_array_equal(loaded["pooled"], pooled)
        if grid is None:
            assert store.grid is None
        else:
            np.testing.assert_array_equal(store.grid, grid)
            assert store.grid.dtype == np.float16
            np.testing.assert_array_equal(loaded["grid"], grid)


def test_rows_are_read_lazily_and_in_threads(tmp_path: Path) -> None:
    names = [f"{n}.jpg" for n in range(500)]
    pooled, _ = write(tmp_path / "f", names, dim=64)
    store = FeatureStore.open(tmp_path / "f")
    assert type(store.pooled[2:5]) is np.ndarray
    base = store.pooled
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    wanted = [np.random.default_rng(seed).integers(0, 500, 50) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        for at, got in zip(wanted, pool.map(store.pooled.__getitem__, wanted), strict=True):
            assert type(got) is np.ndarray
            np.testing.assert_array_equal(got, pooled[at])


def test_photos_that_it_lacks(tmp_path: Path) -> None:
    write(tmp_path / "f", ["a", "b"])
    store = FeatureStore.open(tmp_path / "f")
    assert store.rows(["b", "a", "b"]).tolist() == [1, 0, 1]
    assert store.rows([]).dtype == np.int64
    with pytest.raises(
        FeatureStoreError, match=r"no features of 4 of 5 photos \(c, d, e, \.\.\.\)"
    ):
        store.rows(["a", *"cdef"])
    with pytest.raises(FeatureStoreError, match="no features of 1 of 1 photos"):
        store.index("c")


def test_another_encoder_is_told_key_by_key(tmp_path: Path) -> None:
    write(tmp_path / "f", ["a"])
    store = FeatureStore.open(tmp_path / "f")
    wanted = {**ENCODER, "name": "lite2", "resize": "squash"}
    del wanted["input"]
    with pytest.raises(FeatureStoreError) as raised:
        store.check_encoder(wanted)
    message = str(raised.value)
    assert "name: expected 'lite2', got 'lite0'" in message
    assert "resize: expected 'squash', got nothing" in message
    assert "input: expected nothing, got '224'" in message
    assert "weights" not in message
    assert "Compute the features again" in message


def test_every_flipped_byte_of_the_arrays_is_found(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write(path, ["a", "b"], locations=2)
    whole = path.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    assert len(whole) - start == 2 * 3 * 4 + 2 * 2 * 3 * 2
    for at in range(start, len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(FeatureStoreError, match="the file is damaged: SHA-256 of"):
            FeatureStore.open(path).verify()


def test_only_what_is_asked_for_is_verified(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with FeatureWriter(path, ["a"], ENCODER, dim=2, locations=1, views=["whole", "x"]) as writer:
        writer.add("a", np.ones((2, 2)), np.ones((2, 1, 2)))
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"\0")  # the last number of grid.x
    store = FeatureStore.open(path)
    store.verify(["pooled"])
    store.verify(["pooled", "grid"], ["whole"])
    for wanted in ({}, {"kinds": ["grid"]}, {"views": ["x"]}):
        with pytest.raises(FeatureStoreError, match=r"SHA-256 of grid\.x: expected"):
            store.verify(**wanted)


@pytest.mark.parametrize("name", ["pooled", "grid"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_found_under_a_fitting_checksum(
    tmp_path: Path, name: str, bad: float
) -> None:
    pooled, grid = rows(["a", "b"], locations=2)
    arrays = {"pooled": pooled, "grid": grid}
    arrays[name].flat[-1] = bad
    shapes = {name: array.shape for name, array in arrays.items()}
    checksums = {name: sha256(array.tobytes()).hexdigest() for name, array in arrays.items()}
    data = b"".join(array.tobytes() for array in arrays.values())
    path = tmp_path / "f"
    path.write_bytes(make_header(["a", "b"], ENCODER, shapes, checksums) + data)
    with pytest.raises(FeatureStoreError, match=f"{name} has numbers that are not finite"):
        FeatureStore.open(path).verify()


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_damaged_file_is_an_error_of_ours_or_the_right_numbers(data) -> None:
    at = data.draw(st.integers(0, len(a_store()) - 1))
    new = data.draw(st.binary(max_size=4))
    rest = data.draw(st.sampled_from([len(new), 0, len(a_store())]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(a_store()[:at] + new + a_store()[at + rest :])
        try:
            store = FeatureStore.open(path)
            store.verify()
        except FeatureStoreError:
            return
        assert store.names == ("a", "b")
        assert store.encoder == ENCODER
        np.testing.assert_array_equal(store.pooled, rows(["a", "b"])[0])


@cache
def a_store() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "f", ["a", "b"])
        return (Path(folder) / "f").read_bytes()


def test_files_that_are_no_stores(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with pytest.raises(FeatureStoreError, match="no such feature store"):
        FeatureStore.open(path)
    pooled = np.ones((2, 3), np.float32)

    def metadata(**changes: str) -> dict[str, str]:
        texts = {"names": '["a", "b"]', "encoder": "{}", "format": "unrolled-features-1", **changes}
        checksums = {f"sha256.{k}": sha256(text.encode()).hexdigest() for k, text in texts.items()}
        return texts | checksums

    names = metadata()
    cases = [
        ({"pooled": pooled}, {}, "expected format unrolled-features-1, got none"),
        ({"pooled": pooled}, metadata(format="2"), "got 2"),
        ({"other": pooled}, names, "has no array 'pooled'"),
        ({"pooled": pooled[:1]}, names, "must have 2 axes and 2 rows"),
        ({"pooled": pooled[:, :, None]}, names, "must have 2 axes and 2 rows"),
        ({"pooled": pooled, "grid": pooled.astype("f2")}, names, "grid must have 3 axes"),
        ({"pooled": pooled.astype("f8")}, names, "pooled must be F32 and not empty, got F64"),
        ({"pooled": pooled[:, :0]}, names, "and not empty, got F32 of shape [2, 0]"),
        ({"pooled": pooled, "pooled.flipped": pooled[:, :2]}, names, "has not the shape of pooled"),
        ({"pooled": pooled, "grid.flipped": np.ones((2, 1, 3), "f2")}, names, "the shape of grid"),
        ({"pooled": pooled}, metadata(names="["), "no readable 'names'"),
        ({"pooled": pooled}, metadata(names="[1, 2]"), "no list of texts"),
        ({"pooled": pooled}, metadata(names='["a", "a"]'), "some names are there twice"),
        ({"pooled": pooled}, metadata(encoder='{"a": 1}'), "no object of texts"),
        ({"pooled": pooled}, {**names, "names": '["a", "c"]'}, "its names are damaged"),
    ]
    for arrays, texts, message in cases:
        save_file(arrays, path, texts)
        with pytest.raises(FeatureStoreError) as raised:
            FeatureStore.open(path)
        assert message in str(raised.value)
    save_file({"pooled": pooled}, path, names)
    with pytest.raises(FeatureStoreError, match="expected nothing, got"):
        FeatureStore.open(path).verify()
