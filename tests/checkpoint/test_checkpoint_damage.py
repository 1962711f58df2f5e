"""Whatever is wrong with a checkpoint is a CheckpointError that names the file; never a number."""

import hashlib
import json
import os
import re
import shutil
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import checkpoint
from unrolled.checkpoint.verified import LIMITS
from unrolled.errors import CheckpointError

FILES = ["SHA256SUMS", "config.json", "model.safetensors", "optimizer.safetensors", "state.json"]
FILES += ["vocab.json"]


def make(path):
    checkpoint.save(
        path,
        params={"W": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.float32)},
        config={"model": {"hidden_dim": 3}},
        vocab={"idx_to_word": ["<NULL>", "a"]},
        optimizer={"sgd.step": np.array(3), "sgd.u.W": np.zeros((2, 3), np.float32)},
        state={"epoch": 1},
    )
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return make(tmp_path_factory.mktemp("sound") / "last")


@pytest.fixture
def last(tmp_path):
    return make(tmp_path / "last")


def sum_again(path):
    """What a person would do who edited a file: make the checksums fit it."""
    names = [name for name in FILES[1:] if (path / name).exists()]
    lines = [
        f"{hashlib.sha256((path / name).read_bytes()).hexdigest()}  {name}\n" for name in names
    ]
    (path / "SHA256SUMS").write_text("".join(lines))


def assert_refused(path, words, *, resume=True):
    with pytest.raises(CheckpointError, match=words) as caught:
        checkpoint.load(path, resume=resume)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), resume=st.booleans())
def test_any_flipped_byte_is_found(sound, name, data, resume):
    original = (sound / name).read_bytes()
    at = data.draw(st.integers(0, len(original) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(original)
    changed[at] ^= flip
    (sound / name).write_bytes(changed)
    try:
        assert_refused(sound, re.escape(str(sound)), resume=resume)
    finally:
        (sound / name).write_bytes(original)
    checkpoint.load(sound, resume=True)


def test_any_flip_of_the_checksums_is_found(sound):
    """Every byte of the small file, since nothing checks the checksums but us."""
    original = (sound / "SHA256SUMS").read_bytes()
    try:
        for at in range(len(original)):
            for bit in (1, 5):  # bit 5 makes a capital of a small letter
                changed = bytearray(original)
                changed[at] ^= 1 << bit
                (sound / "SHA256SUMS").write_bytes(changed)
                with pytest.raises(CheckpointError):
                    checkpoint.load(sound)
    finally:
        (sound / "SHA256SUMS").write_bytes(original)


@pytest.mark.parametrize("name", FILES)
def test_any_truncation_or_addition_is_found(sound, name):
    original = (sound / name).read_bytes()
    variants = [original[:n] for n in range(0, len(original), max(1, len(original) // 15))]
    try:
        for variant in [*variants, original[:-1], original + b"\n", original + b"x", original * 2]:
            (sound / name).write_bytes(variant)
            assert_refused(sound, re.escape(str(sound)))
    finally:
        (sound / name).write_bytes(original)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("resume", [True, False])
def test_a_missing_file(last, name, resume):
    (last / name).unlink()
    assert_refused(last, rf"{name}: missing; a checkpoint has model.safetensors", resume=resume)


def test_files_of_two_checkpoints_mixed(last, tmp_path):
    checkpoint.save(tmp_path / "other", params={"W": np.ones(2)}, config={}, vocab={})
    shutil.copy(tmp_path / "other" / "model.safetensors", last)
    assert_refused(last, r"model.safetensors: damaged: SHA256SUMS expects SHA-256 \w{16}…")
    shutil.copy(last / "state.json", tmp_path / "other")
    assert_refused(tmp_path / "other", "state.json: SHA256SUMS does not list this file")


def test_no_checkpoint_at_all(tmp_path):
    assert_refused(tmp_path / "nowhere", "no checkpoint: there is no such folder")
    (tmp_path / "file").write_text("x")
    assert_refused(tmp_path / "file", "a folder was expected")
    (tmp_path / "empty").mkdir()
    assert_refused(tmp_path / "empty", "SHA256SUMS: missing")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    assert_refused(tmp_path / "dangling", "no checkpoint")


@pytest.mark.parametrize("name", FILES)
def test_links_pipes_and_folders_are_not_files(last, name):
    original = last / name
    aside = last.parent / "aside"
    original.rename(aside)
    original.symlink_to(aside)
    assert_refused(last, f"{name}: a symbolic link")
    original.unlink()
    os.mkfifo(original)  # opening it for reading would wait forever for a writer
    assert_refused(last, f"{name}: not an ordinary file")
    original.unlink()
    original.mkdir()
    assert_refused(last, f"{name}: (cannot be read|not an ordinary file)")


@pytest.mark.parametrize("name", FILES)
def test_an_oversized_file_is_refused_unread(last, name):
    os.truncate(last / name, LIMITS[name] + 1)  # sparse: no such bytes are on the disk
    assert_refused(last, rf"{name}: [\d,]+ bytes, where at most [\d,]+ are read")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission(last):
    (last / "vocab.json").chmod(0)
    assert_refused(last, r"vocab.json: cannot be read \(Permission denied\)")


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "state.json"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b'{"x": NaN}', "not JSON that can be read: NaN is not a JSON number"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "expected a JSON object, got list"),
        (b"null", "expected a JSON object, got NoneType"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_json_that_is_none(last, name, text, words):
    (last / name).write_bytes(text)
    sum_again(last)
    assert_refused(last, f"{name}: {words}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "safetensors-model"}, "a folder of another program"),
        ({"format": None}, "a folder of another program"),
        ({"version": "1"}, "a whole version, got 'unrolled-checkpoint' and '1'"),
        ({"version": True}, "a whole version"),
        ({"version": 2}, "version 2 of the format, where this Unrolled reads version 1. Upgrade"),
        ({"version": 0}, "version 0 of the format"),
    ],
)
def test_another_format_or_version(last, changes, words):
    config = json.loads((last / "config.json").read_text())
    (last / "config.json").write_text(json.dumps(config | changes))
    sum_again(last)
    assert_refused(last, words)


def tensors(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04K\x01.",  # a pickle
        b"\xff" * 64,
        tensors({"W": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)),
        tensors({"W": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}),
        tensors({"W": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4)),
        tensors({"W": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, bytes(4)),
        tensors({"W": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)),
        tensors({"W": 3}),
    ],
    ids=lambda value: repr(value[:12]),
)
def test_tensors_that_are_none(last, name, content):
    (last / name).write_bytes(content)
    sum_again(last)
    assert_refused(last, f"{name}: not a safetensors file that can be read")


def test_parameters_of_a_dtype_that_nothing_calculates_in(last):
    header = {"W": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}
    (last / "model.safetensors").write_bytes(tensors(header, bytes(8)))
    sum_again(last)
    assert_refused(last, "model.safetensors: W must be float16, float32 or float64, got int64")


@pytest.mark.parametrize("code", ["F16", "F32", "F64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite(last, code, bad):
    """`save` refuses them, so only a file made elsewhere can hold them."""
    data = np.array([1, bad], f"<f{int(code[1:]) // 8}").tobytes()
    header = {"W": {"dtype": code, "shape": [2], "data_offsets": [0, len(data)]}}
    (last / "model.safetensors").write_bytes(tensors(header, data))
    sum_again(last)
    assert_refused(last, "model.safetensors: W holds numbers that are not finite")


@settings(max_examples=25, deadline=None)
@given(content=st.binary(max_size=200))
def test_random_bytes_with_fitting_checksums(sound, content):
    original = {name: (sound / name).read_bytes() for name in FILES}
    try:
        for name in ("model.safetensors", "config.json"):
            (sound / name).write_bytes(content)
            sum_again(sound)
            assert_refused(sound, f"{sound.name}/{name}")
            (sound / name).write_bytes(original[name])
    finally:
        for name, data in original.items():
            (sound / name).write_bytes(data)
