"""The assignment's HDF5 and JSON files, in its own shapes and dtypes, small."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unrolled.data import SPECIALS, CaptionBatches, Vocabulary, read_captions, read_coco_captioning
from unrolled.data.formats import coco_captioning
from unrolled.errors import CaptionFileError, MissingExtraError

h5py = pytest.importorskip("h5py", reason='h5py comes with the extra "train"')

WORDS = (*SPECIALS, "a", "dog", "runs", "cat")
TRAIN = np.array([[1, 4, 5, 6, 2, 0], [1, 4, 3, 2, 0, 0], [1, 4, 7, 6, 2, 0]], np.int32)
VAL = np.array([[1, 7, 2, 0, 0, 0]], np.int32)
FEATURES = np.arange(8, dtype=np.float32).reshape(2, 4)


def write(folder: Path, **changes: Any) -> Path:
    """Write the data set; keyword arguments replace arrays, None leaves them out."""
    arrays = {
        "train_captions": TRAIN,
        "train_image_idxs": np.array([1, 0, 1], np.int32),
        "val_captions": VAL,
        "val_image_idxs": np.array([0], np.int32),
    } | changes
    with h5py.File(folder / "coco2014_captions.h5", "w") as file:
        for name, array in arrays.items():
            if array is not None:
                file[name] = array
    for prefix, rows in (("train", 2), ("val", 1)):
        for suffix, width in (("", 4), ("_pca", 3)):
            with h5py.File(folder / f"{prefix}2014_vgg16_fc7{suffix}.h5", "w") as file:
                file["features"] = FEATURES[:rows, :width]
        (folder / f"{prefix}2014_urls.txt").write_text(
            "http://x/1.jpg\r\nhttp://x/2.jpg\r\n"[: 16 * rows]
        )
    (folder / "coco2014_vocab.json").write_text(json.dumps(Vocabulary(WORDS).to_json()))
    return folder


def test_captions_as_text(tmp_path: Path) -> None:
    found = read_captions(write(tmp_path))
    assert found.format == "coco_captioning"
    assert [(p.name, p.path, p.captions, p.split) for p in found] == [
        ("train2014/000000", None, ("a",), "train"),
        ("train2014/000001", None, ("a dog runs", "a cat runs"), "train"),
        ("val2014/000000", None, ("cat",), "dev"),
    ]
    assert "words the vocabulary lacks are left out of 1 caption" in found.notes[1]
    assert "is not used" in read_captions(tmp_path, photos=tmp_path).notes[2]


@pytest.mark.parametrize("pca", [True, False])
def test_arrays_as_the_assignment_has_them(tmp_path: Path, pca: bool) -> None:
    data = read_coco_captioning(write(tmp_path), pca=pca)
    assert data.vocabulary.words == WORDS
    train = data.splits["train"]
    np.testing.assert_array_equal(train.encoded.captions, TRAIN)
    assert train.encoded.lengths.tolist() == [5, 4, 5]
    np.testing.assert_array_equal(train.features, FEATURES[:, : 3 if pca else 4])
    assert train.features.dtype == np.float32
    assert train.urls == ("http://x/1.jpg", "http://x/2.jpg")
    encoded = train.encoded
    batches = CaptionBatches(
        encoded.captions, encoded.lengths, encoded.photo_index, train.features, 2, seed=0
    )
    for batch in batches.epoch(0):
        rows = np.array([1, 0, 1])[batch.rows]
        np.testing.assert_array_equal(batch.features, train.features[rows])
    (tmp_path / "train2014_urls.txt").unlink()
    assert read_coco_captioning(tmp_path).splits["train"].urls == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_captions": None}, "no data set 'train_captions' in it (it has train_image_idxs"),
        ({"train_captions": TRAIN[0]}, "must have 2 axes of integers, got shape (6,) of int32"),
        ({"train_captions": TRAIN * 0.5}, "2 axes of integers, got shape (3, 6) of float64"),
        ({"train_captions": TRAIN + 4}, "train_captions[0, 1] is 8; the vocabulary has ids 0 to 7"),
        ({"val_captions": VAL - 1}, "val_captions[0, 3] is -1"),
        ({"train_image_idxs": np.array([0, 1])}, "3 rows, train_image_idxs 2; expected as many"),
        ({"train_image_idxs": np.array([0, -2, 1])}, "train_image_idxs has -2, below 0"),
        ({"train_captions": h5py.ExternalLink("other.h5", "/x")}, "no data set 'train_captions'"),
        ({"train_captions": h5py.SoftLink("/val_captions")}, "no data set 'train_captions'"),
    ],
)
def test_faults(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write(tmp_path, **changes)
    for read in (read_captions, read_coco_captioning):
        with pytest.raises(CaptionFileError) as raised:
            read(path)
        assert str(raised.value).startswith(f"{path / 'coco2014_captions.h5'}: ")
        assert message in str(raised.value)


def test_data_of_another_file_is_not_followed(tmp_path: Path) -> None:
    """An HDF5 file can name bytes of any other file as its own."""
    write(tmp_path, train_captions=None)
    secret = tmp_path / "secret"
    secret.write_bytes(TRAIN.tobytes())
    with h5py.File(tmp_path / "coco2014_captions.h5", "a") as file:
        external = [(str(secret), 0, TRAIN.nbytes)]
        file.create_dataset("train_captions", TRAIN.shape, "i4", external=external)
        np.testing.assert_array_equal(file["train_captions"][()], TRAIN)
    with pytest.raises(CaptionFileError, match="no data set 'train_captions'"):
        read_captions(tmp_path)


def test_other_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path)
    urls = path / "train2014_urls.txt"
    urls.write_text("http://x/1.jpg\n")
    with pytest.raises(CaptionFileError, match=r"train2014_urls\.txt: 1 URLs for 2 rows"):
        read_coco_captioning(path)
    with h5py.File(path / "train2014_vgg16_fc7_pca.h5", "w") as file:
        file["features"] = FEATURES[:1]
    with pytest.raises(CaptionFileError, match=r"pca\.h5: 1 rows of features, .* 2 photos"):
        read_coco_captioning(path)
    (path / "train2014_vgg16_fc7_pca.h5").unlink()
    with pytest.raises(CaptionFileError, match=r"pca\.h5: no such file"):
        read_coco_captioning(path)
    monkeypatch.setattr(coco_captioning, "MAX_ARRAY_BYTES", 20)
    with pytest.raises(CaptionFileError, match=r"train_captions \(3, 6\) is too large"):
        read_captions(path)
    monkeypatch.undo()
    (path / "coco2014_vocab.json").write_text('{"idx_to_word": []}')
    with pytest.raises(CaptionFileError, match=r"vocab\.json: vocabulary: 'word_to_idx' must be"):
        read_captions(path)
    with pytest.raises(CaptionFileError, match="expected the folder"):
        read_captions(path / "coco2014_vocab.json", format="coco_captioning")


def test_damaged_hdf5(tmp_path: Path) -> None:
    file = write(tmp_path) / "coco2014_captions.h5"
    whole = file.read_bytes()
    for damaged in (b"", whole[:100], whole[: len(whole) // 2], b"\x00" * 600 + whole[600:]):
        file.write_bytes(damaged)
        with pytest.raises(CaptionFileError, match=r"coco2014_captions\.h5: "):
            read_captions(tmp_path)


def test_without_h5py_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r'needs h5py; pip install "unrolled\[train\]"'):
        read_captions(tmp_path)
