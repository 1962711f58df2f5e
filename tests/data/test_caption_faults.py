"""What is wrong in a caption file is named with the file and the line, for every layout."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from caption_layouts import Item, write_photos
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data import files, read_captions
from unrolled.data.files import JsonFile
from unrolled.errors import CaptionFileError

KARPATHY = {
    "images": [
        {"filename": "a.jpg", "split": "train", "sentences": [{"raw": "a dog"}]},
        {"filename": "b.jpg", "split": "val", "sentences": [{"raw": "a cat"}, {"raw": "cats"}]},
    ]
}
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
    "annotations": [
        {"image_id": 1, "caption": "a dog"},
        {"image_id": 2, "caption": "a cat"},
    ],
}

TEXT_FAULTS = {
    "no tab": ("t.token.txt", "a.jpg#0\ta dog\nb.jpg#0 a cat\n", 2, "got no tab: 'b.jpg#0 a cat'"),
    "no number": ("t.token.txt", "a.jpg#0\ta dog\n\nb.jpg\ta cat\n", 3, "no number after a #"),
    "no name": ("t.token.txt", "#0\ta dog\n", 1, "the photo has no name"),
    "long": ("t.token.txt", "a.jpg#0\t" + "a " * 6000, 1, "a caption of 12,000 characters"),
    "long name": ("t.token.txt", "a" * 2000 + ".jpg#0\ta", 1, "a photo name of 2,004 characters"),
    "header": ("captions.txt", "photo;text\na.jpg,a dog\n", 1, "'image,caption', got 'photo;text'"),
    "empty": ("captions.txt", "", 1, "expected the header 'image,caption', got ''"),
    "no comma": ("captions.txt", "image,caption\na.jpg,a dog\nb.jpg a cat\n", 3, "got no comma"),
    "quote": ("captions.txt", 'image,caption\na.jpg,ok\nb.jpg,"a cat\nc.jpg,"x"\n', 3, "a quote"),
    "quote to the end": ("captions.txt", 'image,caption\na.jpg,"a dog\nb.jpg,x\n', 2, "a quote"),
    "after lines": ("captions.csv", 'image,caption\na.jpg,"a\ndog"\n../b.jpg,x\n', 4, "leads out"),
}


@pytest.mark.parametrize("fault", TEXT_FAULTS)
def test_text_faults(tmp_path: Path, fault: str) -> None:
    name, text, line, message = TEXT_FAULTS[fault]
    (tmp_path / name).write_bytes(text.encode())
    with pytest.raises(CaptionFileError) as raised:
        read_captions(tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path / name}:{line}: ")
    assert message in str(raised.value)


def changed(value: object, *path_and_new: object) -> object:
    """Copy of a JSON value with one member replaced, or dropped for `...`."""
    *path, last, new = path_and_new
    copy = json.loads(json.dumps(value))
    item = copy
    for key in path:
        item = item[key]
    if new is ...:
        del item[last]
    else:
        item[last] = new
    return copy


JSON_FAULTS = {
    "no images": ("dataset.json", changed(KARPATHY, "images", ...), "has no 'images'"),
    "list": ("dataset.json", [KARPATHY], "expected an object with 'images', got a list"),
    "filename": ("dataset.json", changed(KARPATHY, "images", 1, "filename", ...), "images[1]: has"),
    "split": ("dataset.json", changed(KARPATHY, "images", 1, "split", "foo"), "split 'foo' is"),
    "raw": (
        "dataset.json",
        changed(KARPATHY, "images", 1, "sentences", 1, "raw", 7),
        "images[1].sentences[1].raw: expected text, got a number",
    ),
    "tokens": (
        "dataset.json",
        changed(KARPATHY, "images", 0, "sentences", 0, {"tokens": ["a", 3]}),
        "images[0].sentences[0]: 'tokens' must be a list of words",
    ),
    "sentence": (
        "dataset.json",
        changed(KARPATHY, "images", 0, "sentences", 0, "a dog"),
        "expected an object with 'raw', got text",
    ),
    "twice": ("dataset.json", changed(KARPATHY, "images", 1, "filename", "a.jpg"), "there twice"),
    "no annotations": ("captions_val.json", changed(COCO, "annotations", ...), "'annotations'"),
    "id": ("captions_val.json", changed(COCO, "images", 1, "id", True), "images[1].id: expected"),
    "same id": ("captions_val.json", changed(COCO, "images", 1, "id", 1), "images[1]: photo"),
    "same name": ("captions_val.json", changed(COCO, "images", 1, "file_name", "a.jpg"), "twice"),
    "caption": (
        "captions_val.json",
        changed(COCO, "annotations", 1, "caption", None),
        "annotations[1].caption: expected text, got null",
    ),
    "surrogate": (
        "captions_val.json",
        changed(COCO, "annotations", 1, "caption", "a \ud83d dog"),
        "half a surrogate pair",
    ),
}


@pytest.mark.parametrize("fault", JSON_FAULTS)
def test_json_faults(tmp_path: Path, fault: str) -> None:
    name, value, message = JSON_FAULTS[fault]
    file = tmp_path / name
    layout = "karpathy" if name.startswith("dataset") else "coco"
    file.write_text(json.dumps(value))
    with pytest.raises(CaptionFileError) as raised:
        read_captions(file, format=layout)
    assert str(raised.value).startswith(f"{file}:1: ")
    assert message in str(raised.value)


def test_json_faults_name_the_line_of_the_value(tmp_path: Path) -> None:
    file = tmp_path / "captions_val.json"
    file.write_text(json.dumps(changed(COCO, "annotations", 1, "caption", 7), indent=1))
    line = next(n for n, text in enumerate(file.read_text().split("\n"), 1) if ": 7" in text)
    with pytest.raises(CaptionFileError) as raised:
        read_captions(file)
    assert str(raised.value).startswith(f"{file}:{line}: annotations[1].caption: ")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@settings(deadline=None)
@given(value=json_values, indent=st.sampled_from([None, 0, 2]), data=st.data())
def test_the_line_of_any_value_in_any_document(value: object, indent: int | None, data) -> None:
    keys: list[str | int] = []
    at = value
    while isinstance(at, list | dict) and at and data.draw(st.booleans()):
        choices = range(len(at)) if isinstance(at, list) else sorted(at)
        keys.append(data.draw(st.sampled_from(choices)))
        at = at[keys[-1]]
    marked = changed({"": value}, "", *keys, "\x7fhere")
    text = json.dumps(marked, indent=indent)
    want = text.count("\n", 0, text.index(r"\u007fhere" if r"\u007f" in text else "\x7fhere")) + 1
    assert files._line_of(text, ("", *keys)) == want


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{"images": [\n  {"id": 1,\n', 3, "is the file whole?"),
        ('{"images": [],\n "annotations" []}', 2, "not JSON at column 16"),
        ('{"images": ' + "[" * 100_000, None, "JSON that cannot be read"),
        ('{"images": ' + "1" * 5000 + "}", None, "JSON that cannot be read"),
    ],
)
def test_malformed_json(tmp_path: Path, text: str, line: int | None, message: str) -> None:
    file = tmp_path / "captions_val.json"
    file.write_text(text)
    with pytest.raises(CaptionFileError) as raised:
        read_captions(file)
    assert str(raised.value).startswith(f"{file}:{line}: " if line else f"{file}: ")
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ["t.token.txt", "captions.txt", "captions_val.json", "a.txt"])
def test_bytes_that_are_not_utf8(tmp_path: Path, name: str) -> None:
    write_photos(tmp_path, [Item("a.jpg", "", ())])
    file = tmp_path / name
    file.write_bytes(b'{"images":\n\n caf\xe9')
    with pytest.raises(CaptionFileError) as raised:
        read_captions(tmp_path if name == "a.txt" else file)
    assert str(raised.value) == f"{file}:3: not UTF-8 (byte 0xe9); save it as UTF-8"
    file.write_text("a dog", encoding="utf-16")
    with pytest.raises(CaptionFileError, match=r":1: not UTF-8 \(it looks like UTF-16\)"):
        read_captions(tmp_path, format="folder") if name == "a.txt" else read_captions(
            file, format="coco"
        )


def test_split_lists(tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("image,caption\na.jpg,a dog\n")
    (tmp_path / "train.txt").write_text("a.jpg\n")
    (tmp_path / "dev.txt").write_text("b.jpg\n\na.jpg\n")
    with pytest.raises(CaptionFileError, match=r"dev\.txt:3: a\.jpg is listed for dev here and"):
        read_captions(tmp_path)
    (tmp_path / "dev.txt").write_text("../b.jpg\n")
    with pytest.raises(CaptionFileError, match=r"dev\.txt:1: photo name"):
        read_captions(tmp_path)


def test_photos_that_share_a_text(tmp_path: Path) -> None:
    write_photos(tmp_path, [Item("a.jpg", "", ()), Item("a.png", "", ())])
    (tmp_path / "a.txt").write_text("a dog\n")
    with pytest.raises(CaptionFileError, match=r"a\.txt: belongs to a\.jpg and to a\.png"):
        read_captions(tmp_path)


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 20)
    file = tmp_path / "t.token.txt"
    file.write_text("a.jpg#0\t" + "dog " * 20)
    with pytest.raises(CaptionFileError, match="88 bytes, more than the 20 that are read at most"):
        read_captions(file)
    write_photos(tmp_path / "photos", [Item("a.jpg", "", ())])
    (tmp_path / "photos" / "a.txt").write_text("a dog\n" * 200_000)
    with pytest.raises(CaptionFileError, match=r"a\.txt: 1,200,000 bytes"):
        read_captions(tmp_path / "photos")


def test_no_captions_at_all(tmp_path: Path) -> None:
    (tmp_path / "captions.txt").write_text("image,caption\n")
    with pytest.raises(CaptionFileError, match=r"captions\.txt: no captions in it"):
        read_captions(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '{"images": 5, "images": [{"filename": 1, "sentences": []}]}',
        '{"images": [{"filename": "a.jpg", "sentences": [], "filename": "b.jpg"}]}',
    ],
)
def test_an_object_with_a_key_twice_is_no_choice_of_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "dataset_x.json").write_text(text)
    with pytest.raises(CaptionFileError, match=r"the key '(images|filename)' twice") as raised:
        read_captions(tmp_path / "dataset_x.json")
    assert str(tmp_path / "dataset_x.json") in str(raised.value)


@pytest.mark.skipif(os.name != "posix", reason="named pipes as POSIX has them")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "captions.json")
    with pytest.raises(CaptionFileError, match="expected a file"):
        JsonFile.read(tmp_path / "captions.json")
