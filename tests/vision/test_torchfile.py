"""The restricted reader gives back every tensor, and nothing but tensors gets through it."""

from __future__ import annotations

import io
import pickle
import struct
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from legacy_torch import (
    ORDERED_DICT,
    STORAGE_NAMES,
    Call,
    Filled,
    LegacyFile,
    Name,
    dumps,
    legacy_file,
    storage,
    tensor,
)

from unrolled.errors import EncoderError
from unrolled.vision.torchfile import read_state_dict
from unrolled.vision.weights import ENCODERS

DTYPES = st.sampled_from([np.dtype(name) for name in STORAGE_NAMES])
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, max_side=4))
)
SOUND = legacy_file(
    {"a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.arange(4, dtype="<i8")}
).to_bytes()


def read(data: bytes) -> dict[str, np.ndarray]:
    return read_state_dict(data, where="w.pth")


def one(state: object, **parts: object) -> bytes:
    """A file with one storage "7" of ten float32, and this state."""
    return LegacyFile(Filled({"a": state}), {"7": np.zeros(10, "<f4")}, **parts).to_bytes()


TEN = storage("7", "<f4", 10)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=20), ARRAYS, max_size=5), st.randoms())
def test_every_tensor_comes_back(tensors: dict[str, np.ndarray], random: object) -> None:
    mixed = {
        name: np.transpose(array, random.sample(range(array.ndim), array.ndim))
        for name, array in tensors.items()
    }
    result = read(legacy_file(mixed).to_bytes())
    assert list(result) == list(mixed)
    for name, array in mixed.items():
        assert result[name].dtype == array.dtype
        assert result[name].shape == array.shape
        assert result[name].tobytes() == array.tobytes()
        assert result[name].flags.c_contiguous
        assert result[name].flags.owndata
        assert result[name].flags.writeable


def test_tensors_may_share_a_storage() -> None:
    numbers = np.arange(10, dtype="<f4")
    state = Filled({"a": tensor(TEN, 0, (2, 2), (2, 1)), "b": tensor(TEN, 3, (2, 2), (1, 2))})
    result = read(LegacyFile(state, {"7": numbers}).to_bytes())
    assert result["a"].tolist() == [[0, 1], [2, 3]]
    assert result["b"].tolist() == [[3, 5], [4, 6]]
    result["a"][:] = -1
    assert result["b"].tolist() == [[3, 5], [4, 6]]


@pytest.mark.parametrize("spec", ENCODERS.values(), ids=list(ENCODERS))
def test_published_weights_are_read(spec: object) -> None:
    data = (resources.files(spec.package) / "models" / spec.file).read_bytes()
    weights = read(data)
    assert len(weights) == {"lite0": 296, "lite1": 386, "lite2": 386}[spec.name]
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert weights["_conv_head.weight"].shape[0] == 1280
    assert all(np.isfinite(array).all() for array in weights.values())
    assert all((array >= 0).all() for name, array in weights.items() if name.endswith("_var"))


@pytest.mark.parametrize(
    "function",
    [
        Name("os", "system"),
        Name("posix", "system"),
        Name("builtins", "eval"),
        Name("__builtin__", "exec"),
        Name("subprocess", "Popen"),
        Name("torch", "load"),
        Name("torch.storage", "FloatStorage"),
        Name("torch._utils", "_rebuild_tensor_v2.__globals__"),
        Name("collections", "defaultdict"),
        Name("pickle", "loads"),
    ],
    ids=lambda name: f"{name.module}.{name.name}",
)
@pytest.mark.parametrize("part", ["magic", "protocol", "system", "state", "keys"])
def test_no_other_name_is_looked_up(function: Name, part: str, tmp_path: Path) -> None:
    mark = tmp_path / "called"
    file = legacy_file({"a": np.zeros(2, "<f4")})
    setattr(file, part, Call(function, (f"touch {mark}",)))
    with pytest.raises(EncoderError, match=r"w\.pth: .* the name|not a weight file") as caught:
        read(file.to_bytes())
    assert f"{function.module}.{function.name}" in str(caught.value)
    assert not mark.exists()


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_code_does_not(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "called"
    evil = pickle.dumps(_Evil(mark), protocol=protocol)
    pickle.loads(evil)
    assert mark.exists(), "the attack itself must work, or the test proves nothing"
    mark.unlink()
    for part in ("magic", "state"):
        file = legacy_file({"a": np.zeros(2, "<f4")})
        setattr(file, part, evil)
        with pytest.raises(EncoderError):
            read(file.to_bytes())
    with pytest.raises(EncoderError):
        read(evil)
    assert not mark.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"(ios\nsystem\n.",  # INST
        b"(cos\nsystem\no.",  # OBJ
        b"ccollections\nOrderedDict\n)\x81.",  # NEWOBJ
        b"\x82\x01.",  # EXT1
        b"\x8c\x02os\x8c\x06system\x93.",  # STACK_GLOBAL
        b"]r\xff\xff\xff\x7f.",  # a memo of 16 GB
        b"]r\xff\xff\xff\x00.",  # and of 130 MB
        b"P0\n.",  # PERSID
        b"\x8b\xff\xff\xff\x7f.",  # LONG4 of 2 GB
        b"X\xff\xff\xff\x7f.",  # BINUNICODE of 2 GB
        b".",  # nothing on the stack
        b"(.",
        b"",
        b"\x80\x02",
        b"garbage",
        b"ctorch\nFloatStorage\n)R.",  # a storage type called
        b"ccollections\nOrderedDict\n)R}(X\x05\x00\x00\x00itemsK\x01ub.",  # a method overwritten
    ],
)
def test_opcodes_no_tensor_needs_are_refused(code: bytes) -> None:
    for part in ("magic", "state"):
        file = legacy_file({"a": np.zeros(2, "<f4")})
        setattr(file, part, code)
        with pytest.raises(EncoderError, match="not a weight file that can be read"):
            read(file.to_bytes())


def test_a_pickle_of_unreasonable_length_is_refused() -> None:
    padding = "x" * (5 << 20)
    with pytest.raises(EncoderError, match="more than 4,194,304 bytes"):
        read(LegacyFile(Filled({padding: tensor(TEN, 0, (1,), (1,))}), {}).to_bytes())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (one(tensor(TEN, 1, (10,), (1,))), "outside its storage"),
        (one(tensor(TEN, 0, (2, 5), (9, 1))), "outside its storage"),
        (one(tensor(TEN, 11, (0,), (1,))), "outside its storage"),
        (one(tensor(TEN, 1 << 62, (1,), (1,))), "outside its storage"),
        (one(tensor(TEN, 0, (1 << 40,), (0,))), "more than the file"),
        (one(tensor(TEN, 0, (11,), (0,))), "larger than its storage"),
        (one(tensor(TEN, -1, (1,), (1,))), "without a storage"),
        (one(tensor(TEN, 0, (-1,), (1,))), "not counts"),
        (one(tensor(TEN, 5, (2,), (-1,))), "not counts"),
        (one(tensor(TEN, 0, (2,), (1, 1))), "not counts"),
        (one(tensor(TEN, 0, (1,) * 9, (1,) * 9)), "not counts"),
        (one(tensor(TEN, 0, (True,), (1,))), "not counts"),
        (one(tensor(TEN, 0, [1], [1])), "not counts"),
        (one(tensor("7", 0, (1,), (1,))), "without a storage"),
        (one(tensor(storage("7", "<f4", 11), 0, (1,), (1,))), "where 11 are declared"),
        (one(tensor(storage("7", "<f4", -1), 0, (0,), (1,))), "without type, key and count"),
        (one(tensor(storage(7, "<f4", 10), 0, (1,), (1,))), "without type, key and count"),
        (one(tensor(storage("7", "<f4", 10, ("8", 0, 5)), 0, (1,), (1,))), "a view"),
        (one(tensor(storage("8", "<f4", 10), 0, (1,), (1,))), "a list of storages"),
        (one(tensor(TEN, 0, (10,), (1,)), keys=[]), "a list of storages"),
        (one(tensor(TEN, 0, (10,), (1,)), keys=["7", "7"]), "a list of storages"),
        (one(tensor(TEN, 0, (10,), (1,)), keys=[7]), "damaged"),
        (one(tensor(TEN, 0, (10,), (1,)), keys="7"), "a list of storages"),
        (one(tensor(TEN, 0, (10,), (1,)), counts={"7": 1 << 60}), "where 10 are declared"),
        (one(tensor(TEN, 0, (10,), (1,)), counts={"7": -1}), "where 10 are declared"),
        (one(tensor(storage("7", "<f8", 10), 0, (1,), (1,))), "end of the file within"),
        (one(tensor(storage("7", "<f2", 10), 0, (1,), (1,))), "bytes after the last"),
        (one(tensor(TEN, 0, (10,), (1,)), trailer=b"\0"), "bytes after the last"),
        (one(tensor(TEN, 0, (10,), (1,)), magic=5), "magic number"),
        (one(tensor(TEN, 0, (10,), (1,)), protocol=1002), "protocol"),
        (one(tensor(TEN, 0, (10,), (1,)), system={"little_endian": False}), "little-endian"),
        (one(tensor(TEN, 0, (10,), (1,)), system=[]), "little-endian"),
        (one(3), "other than a dict of tensors"),
        (one(TEN), "other than a dict of tensors"),
        (one(Call(ORDERED_DICT, ())), "other than a dict of tensors"),
        (LegacyFile([], {}).to_bytes(), "other than a dict of tensors"),
        (LegacyFile(Filled({3: tensor(TEN, 0, (1,), (1,))}), {}).to_bytes(), "other than a dict"),
        (b"PK\x03\x04rest", "zip"),
        (b"", "damaged"),
        (dumps(3)[:-1], "damaged"),
    ],
)
def test_what_does_not_fit_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(EncoderError, match=r"^w\.pth: not a weight file") as caught:
        read(data)
    assert reason in str(caught.value)


def test_one_key_declared_as_two_storages_is_refused() -> None:
    for other in (storage("7", "<f8", 10), storage("7", "<f4", 9)):
        state = Filled({"a": tensor(TEN, 0, (1,), (1,)), "b": tensor(other, 0, (1,), (1,))})
        with pytest.raises(EncoderError, match="declared twice"):
            read(LegacyFile(state, {"7": np.zeros(10, "<f4")}).to_bytes())


def test_overlapping_tensors_cannot_outgrow_the_file() -> None:
    numbers = np.zeros(10_000, "<f4")
    whole = tensor(storage("7", "<f4", 10_000), 0, (10_000,), (1,))
    state = Filled({f"t{index}": whole for index in range(50)})
    with pytest.raises(EncoderError, match="more than the file"):
        read(LegacyFile(state, {"7": numbers}).to_bytes())


def test_every_shorter_file_is_refused() -> None:
    for length in range(len(SOUND)):
        with pytest.raises(EncoderError):
            read(SOUND[:length])
    assert set(read(SOUND)) == {"a", "b"}


@settings(max_examples=300)
@given(st.integers(0, len(SOUND) - 1), st.integers(1, 255))
def test_a_flipped_byte_never_escapes(position: int, flip: int) -> None:
    data = bytearray(SOUND)
    data[position] ^= flip
    try:
        result = read(bytes(data))
    except EncoderError:
        return
    assert all(isinstance(array, np.ndarray) for array in result.values())


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(EncoderError):
        read(noise)


def test_a_count_is_eight_little_endian_bytes() -> None:
    data = legacy_file({"a": np.array([1.5, -2.0], "<f4")}).to_bytes()
    assert data.endswith(struct.pack("<qff", 2, 1.5, -2.0))


@pytest.mark.peers
@pytest.mark.parametrize("spec", ENCODERS.values(), ids=list(ENCODERS))
def test_torch_reads_the_same_from_the_published_files(spec: object) -> None:
    torch = pytest.importorskip("torch")
    path = resources.files(spec.package) / "models" / spec.file
    expected = torch.load(str(path), weights_only=True)
    actual = read(path.read_bytes())
    assert list(actual) == list(expected)
    for name, array in actual.items():
        assert array.dtype == expected[name].numpy().dtype
        assert np.array_equal(array, expected[name].numpy())


@pytest.mark.peers
@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), ARRAYS, max_size=4))
def test_what_torch_writes_is_read(tensors: dict[str, np.ndarray]) -> None:
    torch = pytest.importorskip("torch")
    stream = io.BytesIO()
    state = {name: torch.from_numpy(array.copy()).T if array.ndim == 2 else torch.tensor(array)
             for name, array in tensors.items()}  # fmt: skip
    from collections import OrderedDict

    torch.save(OrderedDict(state), stream, _use_new_zipfile_serialization=False)
    result = read(stream.getvalue())
    for name, expected in state.items():
        assert result[name].tobytes() == expected.numpy().tobytes()
        assert result[name].shape == tuple(expected.shape)
