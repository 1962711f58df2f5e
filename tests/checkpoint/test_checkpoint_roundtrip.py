"""What is saved comes back, in the formats that others can read; what cannot be stored is said."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unrolled import checkpoint
from unrolled.errors import CheckpointError, InputError

CONFIG = {"model": {"cell_type": "lstm", "hidden_dim": 4}, "encoder": {"name": "lite0"}}
VOCAB = {"idx_to_word": ["<NULL>", "chien", "狗"], "word_to_idx": {"<NULL>": 0}}
STATE = {"epoch": 3, "best_score": 0.1 + 0.2, "loss_sum": 1e300 / 3}


def make_params(seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    shapes = {"W_proj": (5, 4), "b_proj": (4,), "Wx": (3, 16), "b": (16,)}
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in shapes.items()}


def save(path, **changes):
    arguments = {"params": make_params(), "config": CONFIG, "vocab": VOCAB, **changes}
    checkpoint.save(path, **arguments)


def assert_same(left, right):
    assert left.keys() == right.keys()
    for name in left:
        assert (left[name].dtype, left[name].shape) == (right[name].dtype, right[name].shape)
        assert left[name].tobytes() == right[name].tobytes()


@settings(max_examples=25, deadline=None)
@given(
    params=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(
            lambda name: name != "__metadata__"
        ),
        hnp.arrays(
            st.sampled_from([np.dtype("<f4"), np.dtype("<f8"), np.dtype(">f4")]),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
            elements=st.floats(-(2.0**100), 2.0**100, width=32),
        ),
        min_size=1,
        max_size=4,
    ),
    order=st.sampled_from("CF"),
)
def test_parameters_come_back(tmp_path_factory, params, order):
    path = tmp_path_factory.mktemp("runs") / "last"
    given_params = {name: np.asarray(array, order=order) for name, array in params.items()}
    save(path, params=given_params)
    loaded = checkpoint.load(path).params
    native = {name: array.astype(array.dtype.newbyteorder("=")) for name, array in params.items()}
    assert_same(loaded, native)
    for array in loaded.values():
        assert array.flags.writeable
        assert array.flags.c_contiguous
    shutil.rmtree(path.parent)


def test_everything_comes_back_bit_for_bit(tmp_path):
    optimizer = {"adam.step": np.array(7), "adam.m.Wx": np.ones((3, 16), np.float32)}
    save(tmp_path / "a" / "b" / "last", optimizer=optimizer, state=STATE)
    loaded = checkpoint.load(str(tmp_path / "a" / "b" / "last"), resume=True)
    assert_same(loaded.params, make_params())
    assert_same(loaded.optimizer, optimizer)
    assert loaded.config == CONFIG
    assert loaded.vocab == VOCAB
    assert loaded.state == STATE
    plain = checkpoint.load(tmp_path / "a" / "b" / "last")
    assert plain.optimizer is None
    assert plain.state is None


def test_the_files_are_what_others_read(tmp_path):
    save(tmp_path / "last", optimizer={"sgd.step": np.array(1)}, state=STATE)
    names = ["SHA256SUMS", "config.json", "model.safetensors", "optimizer.safetensors"]
    assert sorted(p.name for p in (tmp_path / "last").iterdir()) == [
        *names,
        "state.json",
        "vocab.json",
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["last"]
    config = json.loads((tmp_path / "last" / "config.json").read_text("utf-8"))
    assert config == {"format": "unrolled-checkpoint", "version": 1, **CONFIG}
    assert "狗" in (tmp_path / "last" / "vocab.json").read_text("utf-8")
    assert_same(safetensors.numpy.load_file(tmp_path / "last" / "model.safetensors"), make_params())


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_sha256sum_agrees(tmp_path):
    save(tmp_path / "last", optimizer={"sgd.step": np.array(1)}, state=STATE)
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    result = subprocess.run(command, cwd=tmp_path / "last", capture_output=True, check=False)
    assert result.returncode == 0
    assert result.stdout.count(b": OK") == 5


def test_saving_again_gives_equal_bytes(tmp_path):
    for name in ("one", "two"):
        save(tmp_path / name, optimizer={"sgd.step": np.array(1)}, state=STATE)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_half_precision_on_the_disk_is_single_in_memory(tmp_path):
    save(tmp_path / "small", dtype=np.float16)
    stored = safetensors.numpy.load_file(tmp_path / "small" / "model.safetensors")
    assert {array.dtype for array in stored.values()} == {np.dtype(np.float16)}
    halves = {
        name: array.astype(np.float16).astype(np.float32) for name, array in make_params().items()
    }
    assert_same(checkpoint.load(tmp_path / "small").params, halves)


def test_constants_keep_their_precision(tmp_path):
    """One over a small deviation is more than half precision can hold."""
    constants = {"feature_scale": np.array([1e5, 1 / 3], np.float32)}
    save(tmp_path / "half", constants=constants, dtype=np.float16)
    params = checkpoint.load(tmp_path / "half").params
    assert params.keys() == make_params().keys() | constants.keys()
    assert params["feature_scale"].tobytes() == constants["feature_scale"].tobytes()
    stored = safetensors.numpy.load_file(tmp_path / "half" / "model.safetensors")
    assert stored["Wx"].dtype == np.float16
    with pytest.raises(InputError, match="constants must not have the names of parameters"):
        save(tmp_path / "twice", constants={"Wx": constants["feature_scale"]})


def test_double_precision_stays(tmp_path):
    save(tmp_path / "wide", params=make_params(dtype=np.float64))
    assert_same(checkpoint.load(tmp_path / "wide").params, make_params(dtype=np.float64))


def test_a_newer_checkpoint_takes_the_place_and_keeps_what_a_person_put_there(tmp_path):
    path = tmp_path / "best"
    save(path, optimizer={"sgd.step": np.array(1)}, state=STATE)
    (path / "notes.txt").write_text("the good one")
    (path / "pictures").mkdir()
    (path / "pictures" / "a.txt").write_text("a")
    save(path, params=make_params(1))
    assert_same(checkpoint.load(path).params, make_params(1))
    assert (path / "notes.txt").read_text() == "the good one"
    assert (path / "pictures" / "a.txt").read_text() == "a"
    # What the first had for resuming does not belong to the second, and is gone.
    with pytest.raises(CheckpointError, match=r"no training state \(optimizer.safetensors, state"):
        checkpoint.load(path, resume=True)
    assert [p.name for p in tmp_path.iterdir()] == ["best"]


def test_saving_through_a_link_to_a_folder_and_into_the_current_one(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert_same(checkpoint.load(tmp_path / "link").params, make_params())
    assert_same(checkpoint.load(tmp_path / "real").params, make_params())
    monkeypatch.chdir(tmp_path)
    save("relative/here")
    assert_same(checkpoint.load("relative/here").params, make_params())


def test_nothing_but_a_checkpoint_is_replaced(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"photos: a folder without SHA256SUMS is there"):
        save(photos)
    assert (photos / "config.json").read_text() == "{}"
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match=r"file: a file is there, which is no checkpoint"):
        save(tmp_path / "file")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "photos"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"params": {}}, "params is empty"),
        ({"params": {"W": np.arange(3)}}, "W must be float16, float32 or float64, got int64"),
        ({"params": {"W": np.array([1.0, np.nan])}}, "W holds numbers that are not finite"),
        ({"params": {"W": np.array([1e6])}, "dtype": np.float16}, "too large for float16"),
        ({"params": {"__metadata__": np.ones(1)}}, "safetensors keeps the name __metadata__"),
        ({"params": {3: np.ones(1)}}, "cannot be written as safetensors"),
        ({"dtype": np.int8}, "must be float16, float32 or float64, got int8"),
        ({"config": {"version": 3}}, r"config must not have the keys \['version'\]"),
        ({"config": {"rate": np.nan}}, "config cannot be written as JSON: .*nan"),
        ({"config": {"path": object()}}, "config cannot be written as JSON: .*object"),
        ({"vocab": {"words": "\ud800"}}, "vocab cannot be written as JSON: .*surrogate"),
        ({"config": {"long": "x" * (1 << 20)}}, r"config.json would have 1,048,6\d\d bytes"),
        ({"state": {}}, "needs optimizer and state together"),
        ({"optimizer": {}}, "needs optimizer and state together"),
        ({"optimizer": {"x": np.array([None])}, "state": {}}, "as safetensors: .*object"),
    ],
)
def test_what_cannot_be_stored(tmp_path, changes, words):
    save(tmp_path / "last")
    with pytest.raises(InputError, match=words):
        save(tmp_path / "last", **changes)
    assert [p.name for p in tmp_path.iterdir()] == ["last"]
    assert_same(checkpoint.load(tmp_path / "last").params, make_params())


def test_importing_it_is_light():
    code = "import sys, unrolled.checkpoint; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
