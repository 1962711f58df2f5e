"""Every layout is recognised, read back as it was written, and says what it left out."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from caption_layouts import (
    SHARED,
    WRITERS,
    Item,
    write_coco,
    write_folder,
    write_photos,
    write_text,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data import FORMATS, CaptionSet, hashed_splits, read_captions
from unrolled.errors import CaptionFileError, InputError

ITEMS = [
    Item("a.jpg", "train", ('a "big" dog, running', "tab\there")),
    Item("b.jpg", "train", ("deux chiens à l'été",)),
    Item("c.jpg", "dev", ("ein Hund", "#3\tdogs", "狗")),
    Item("d.jpg", "test", ("the end .",)),
]

awkward = st.sampled_from(list(",\"\t#'|\\{}[]: \r\u2028\x85\x0b"))
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00\n\ufeff")
captions = st.lists(st.text(awkward | letters, max_size=30), max_size=4).map(tuple)
names = st.from_regex(r"[a-z0-9_é狗][a-z0-9_é狗 .#-]{0,12}[a-z0-9]\.(jpg|JPG|png)", fullmatch=True)
splits = st.sampled_from(["train", "dev", "test"])
data_sets = st.lists(
    st.builds(Item, names, splits, captions),
    max_size=8,
    unique_by=lambda item: Path(item.name).stem.lower(),
)


def plain(caption: str) -> str:
    return " ".join(caption.split())


def expected(items: list[Item]) -> dict[str, tuple[str, ...]]:
    kept = {item.name: tuple(filter(None, map(plain, item.captions))) for item in items}
    return {name: captions for name, captions in kept.items() if captions}


def captions_of(found: CaptionSet) -> dict[str, tuple[str, ...]]:
    return {photo.name: photo.captions for photo in found}


@pytest.mark.parametrize("layout", WRITERS)
@settings(max_examples=40, deadline=None)
@given(items=data_sets)
def test_what_is_written_is_read_back(layout: str, items: list[Item]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = WRITERS[layout](Path(folder), items)
        want = expected(items)
        if not want:
            with pytest.raises(CaptionFileError):
                read_captions(path, format=layout)
            return
        found = read_captions(path)
        assert found.format == layout
        assert captions_of(found) == want
        assert all(photo.path is not None and photo.path.is_file() for photo in found)
        by_name = {item.name: item.split for item in items}
        if layout in ("kaggle", "folder"):
            by_name = hashed_splits(want)
        assert {photo.name: photo.split for photo in found} == {n: by_name[n] for n in want}


@pytest.mark.parametrize("layout", WRITERS)
def test_counts_and_splits(tmp_path: Path, layout: str) -> None:
    found = read_captions(WRITERS[layout](tmp_path, ITEMS))
    assert sum(n.photos for n in found.counts.values()) == len(found) == 4
    assert sum(n.captions for n in found.counts.values()) == 7
    if layout not in ("kaggle", "folder"):
        assert found.counts == {"train": (2, 3), "dev": (1, 3), "test": (1, 1)}
        assert not found.notes
        assert captions_of(found.split("val")) == expected(ITEMS[2:3])
    assert list(found.counts) == ["train", "dev", "test"]


@pytest.mark.parametrize("layout", WRITERS)
def test_windows_line_ends_and_byte_order_mark(tmp_path: Path, layout: str) -> None:
    path = WRITERS[layout](tmp_path, ITEMS)
    for file in path.rglob("*"):
        if file.suffix in (".txt", ".json"):
            data = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            file.write_bytes(b"\xef\xbb\xbf" + data)
    assert captions_of(read_captions(path)) == expected(ITEMS)


@pytest.mark.parametrize("layout", WRITERS)
def test_missing_photos_missing_captions_and_empty_captions_are_counted(
    tmp_path: Path, layout: str
) -> None:
    odd = Item("e.jpg", "train", ("", "  ", "an e"))
    path = WRITERS[layout](tmp_path, [*ITEMS, odd])
    photo = next(path.rglob("b.jpg"))
    photo.rename(photo.with_name("spare.JPG"))
    found = read_captions(path)
    assert captions_of(found) == expected([ITEMS[0], *ITEMS[2:], odd])
    notes = "\n".join(found.notes)
    assert "spare.JPG" in notes
    assert "1 photo file without captions" in notes
    if layout == "folder":
        assert "text files without a photo beside them: 1 (b.txt)" in notes
    else:
        assert "1 caption of 1 photo left out" in notes
        assert "b.jpg" in notes
        assert "2 empty captions left out" in notes


@pytest.mark.parametrize("layout", ["flickr8k", "kaggle", "karpathy", "coco"])
def test_without_photos_the_captions_are_read_alone(tmp_path: Path, layout: str) -> None:
    path = WRITERS[layout](tmp_path, ITEMS)
    for photo in path.rglob("*.jpg"):
        photo.unlink()
    found = read_captions(path)
    assert captions_of(found) == expected(ITEMS)
    assert {photo.path for photo in found} == {None}
    assert "captions only" in found.notes[0]
    write_photos(tmp_path / "elsewhere", ITEMS[:1])
    found = read_captions(path, photos=tmp_path / "elsewhere")
    assert captions_of(found) == expected(ITEMS[:1])
    with pytest.raises(CaptionFileError, match="no such folder of photos"):
        read_captions(path, photos=tmp_path / "nowhere")


@pytest.mark.parametrize("layout", ["flickr8k", "kaggle", "karpathy", "coco"])
def test_the_caption_file_itself_will_do(tmp_path: Path, layout: str) -> None:
    path = WRITERS[layout](tmp_path, ITEMS)
    main = {
        "flickr8k": "Flickr8k.token.txt",
        "kaggle": "captions.txt",
        "karpathy": "dataset_mine.json",
        "coco": "annotations/captions_train2017.json",
    }[layout]
    found = read_captions(path / main)
    assert found.format == layout
    assert captions_of(found) == expected(ITEMS[:2] if layout == "coco" else ITEMS)
    assert all(photo.path is not None for photo in found)


@pytest.mark.parametrize(
    "name", ["../a.jpg", "/etc/a.jpg", "x/../../a.jpg", "C:\\a.jpg", "..\\a.jpg", "a\x00.jpg", "."]
)
@pytest.mark.parametrize("layout", ["flickr8k", "kaggle", "karpathy", "coco"])
def test_photo_names_stay_inside_their_folder(tmp_path: Path, layout: str, name: str) -> None:
    path = WRITERS[layout](tmp_path, ITEMS)
    for file in path.rglob("*"):
        if file.suffix in (".txt", ".json"):
            written = json.dumps(name)[1:-1] if file.suffix == ".json" else name
            file.write_text(file.read_text().replace("c.jpg", written))
    with pytest.raises(CaptionFileError, match=r"(txt|json):\d+: .*(photo name|no name|not CSV)"):
        read_captions(path)


def test_karpathy_filepath_and_tokens(tmp_path: Path) -> None:
    image = {
        "filepath": "val2014",
        "filename": "a.jpg",
        "split": "train",
        "sentences": [{"tokens": ["a", "dog"]}],
    }
    write_text(tmp_path / "dataset.json", json.dumps({"images": [image]}))
    write_photos(tmp_path / "val2014", [Item("a.jpg", "", ())])
    (photo,) = read_captions(tmp_path)
    assert (photo.name, photo.captions) == ("a.jpg", ("a dog",))
    assert photo.path == tmp_path / "val2014" / "a.jpg"
    image["filepath"] = "../val2014"
    write_text(tmp_path / "dataset.json", json.dumps({"images": [image]}))
    with pytest.raises(CaptionFileError, match="leads out of the photo folder"):
        read_captions(tmp_path)


def test_flickr8k_with_its_archives_unpacked_side_by_side(tmp_path: Path) -> None:
    WRITERS["flickr8k"](tmp_path / "Flickr8k_text", ITEMS)
    for photos in ("Flicker8k_Dataset", "Flickr8k_Dataset", "Flickr8k_Dataset/Flicker8k_Dataset"):
        source = next(folder for folder in tmp_path.rglob("*_Dataset") if any(folder.glob("*.jpg")))
        (tmp_path / photos).parent.mkdir(exist_ok=True)
        source.rename(tmp_path / "moved")
        (tmp_path / photos).mkdir(parents=True, exist_ok=True)
        (tmp_path / photos).rmdir()
        (tmp_path / "moved").rename(tmp_path / photos)
        found = read_captions(tmp_path)
        assert found.format == "flickr8k"
        assert all(p.path == tmp_path / photos / p.name for p in found)


def test_flickr8k_photo_of_the_original_that_is_not_there(tmp_path: Path) -> None:
    path = WRITERS["flickr8k"](tmp_path, ITEMS)
    token_file = path / "Flickr8k.token.txt"
    stray = "".join(f"2258277193_586949ec62.jpg.1#{n}\tpeople waiting\n" for n in range(5))
    token_file.write_text(stray + token_file.read_text())
    found = read_captions(path)
    assert captions_of(found) == expected(ITEMS)
    (note,) = found.notes
    assert "5 captions of 1 photo left out" in note
    assert "2258277193_586949ec62.jpg.1" in note


def test_lists_that_leave_photos_out_or_name_unknown_ones(tmp_path: Path) -> None:
    path = WRITERS["flickr8k"](tmp_path, ITEMS)
    (path / "Flickr_8k.testImages.txt").write_text("gone.jpg\n")
    found = read_captions(path)
    assert found.counts["unsplit"] == (1, 1)
    assert any("1 photo in no split: d.jpg" in note for note in found.notes)
    assert any("gone.jpg" in note for note in found.notes)
    with pytest.raises(InputError, match=r"no photos in split 'test'.*train \(2 photos\)"):
        found.split("test")
    with pytest.raises(InputError, match="'tset'"):
        found.split("tset")


def test_kaggle_commas_that_are_not_quoted(tmp_path: Path) -> None:
    write_text(tmp_path / "captions.txt", 'image,caption\na.jpg,A dog, "Rex", runs\nb.jpg,A cat\n')
    found = read_captions(tmp_path)
    assert captions_of(found) == {"a.jpg": ('A dog, "Rex", runs',), "b.jpg": ("A cat",)}
    assert any("1 lines" in note or "1 line" in note for note in found.notes)


def test_suffixes_match_in_any_case_and_names_in_any_normal_form(tmp_path: Path) -> None:
    write_text(tmp_path / "captions.txt", "image,caption\nété.jpg,A dog\nb.JPG,A cat\n")
    write_photos(tmp_path / "Images", [Item("e\u0301te\u0301.JPG", "", ()), Item("b.jpg", "", ())])
    found = read_captions(tmp_path)
    assert [photo.path and photo.path.exists() for photo in found] == [True, True]


def test_coco_annotations_of_no_photo_are_counted(tmp_path: Path) -> None:
    path = write_coco(tmp_path, ITEMS)
    file = path / "annotations" / "captions_val2017.json"
    value = json.loads(file.read_text())
    value["annotations"].append({"image_id": 99, "caption": "nobody's"})
    file.write_text(json.dumps(value))
    found = read_captions(path)
    assert captions_of(found) == expected(ITEMS)
    assert "1 caption" in found.notes[0]
    assert "captions_val2017.json" in found.notes[0]


def test_coco_alone_without_a_split_in_its_name_is_split_by_hash(tmp_path: Path) -> None:
    path = write_coco(tmp_path, ITEMS)
    (path / "annotations" / "captions_train2017.json").rename(path / "captions.json")
    found = read_captions(path / "captions.json")
    assert {p.name: p.split for p in found} == hashed_splits(["a.jpg", "b.jpg"])


def test_coco_files_of_two_years_are_not_mixed(tmp_path: Path) -> None:
    path = write_coco(tmp_path, ITEMS)
    (path / "annotations" / "captions_train2014.json").write_text("{}")
    with pytest.raises(
        CaptionFileError, match=r"train2014.* and .*train2017.* would both be train"
    ):
        read_captions(path)


def test_folder_nested_with_lists_or_folders_for_the_splits(tmp_path: Path) -> None:
    nested = [Item(f"{item.split}/x/{item.name}", item.split, item.captions) for item in ITEMS]
    found = read_captions(write_folder(tmp_path / "folders", nested))
    assert {p.name: p.split for p in found} == {item.name: item.split for item in nested}
    path = write_folder(tmp_path / "lists", ITEMS)
    write_text(path / "train.txt", "a.jpg\n")
    write_text(path / "val.txt", "b.jpg\nc.jpg\n\n")
    found = read_captions(path)
    assert [photo.split for photo in found] == ["train", "dev", "dev", None]
    write_photos(path, [Item("train.jpg", "", ())])  # now train.txt is this photo's caption
    found = read_captions(path)
    assert {p.name: p.split for p in found}["a.jpg"] is None
    assert captions_of(found)["train.jpg"] == ("a.jpg",)


def test_folder_passes_hidden_files_over(tmp_path: Path) -> None:
    write_folder(tmp_path, [*ITEMS, Item(".hidden/z.jpg", "", ("z",)), Item("._a.jpg", "", ("?",))])
    assert captions_of(read_captions(tmp_path)) == expected(ITEMS)


def test_what_is_not_recognised_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.md").touch()
    with pytest.raises(CaptionFileError) as raised:
        read_captions(tmp_path)
    message = str(raised.value)
    assert all(f"  {name}: " in message for name in FORMATS)
    assert "Found: notes.md" in message
    with pytest.raises(CaptionFileError, match="no such file or folder"):
        read_captions(tmp_path / "nowhere")
    with pytest.raises(CaptionFileError, match=r"a file named notes\.md"):
        read_captions(tmp_path / "notes.md")
    with pytest.raises(InputError, match="unknown caption format 'coko'; there are flickr8k"):
        read_captions(tmp_path, format="coko")
    for name in FORMATS:
        with pytest.raises(CaptionFileError):
            read_captions(tmp_path, format=name)


def test_two_layouts_in_one_folder_are_told_apart_by_name(tmp_path: Path) -> None:
    WRITERS["karpathy"](tmp_path, ITEMS[:1])
    WRITERS["flickr8k"](tmp_path, ITEMS)
    with pytest.raises(CaptionFileError, match=r"more than one layout.*flickr8k and karpathy"):
        read_captions(tmp_path)
    assert len(read_captions(tmp_path, format="flickr8k")) == 4
    assert len(read_captions(tmp_path / "dataset_mine.json")) == 1


@pytest.mark.skipif(not (SHARED / "flickr8k").is_dir(), reason="../shared/flickr8k is not here")
def test_the_real_flickr8k() -> None:
    found = read_captions(SHARED / "flickr8k")
    assert found.format == "flickr8k"
    assert found.counts == {"train": (6000, 30000), "dev": (1000, 5000)}
    assert all(len(photo.captions) == 5 and photo.path is not None for photo in found)
    assert found.photos[0].name == "1000268201_693b08cb0e.jpg"
    assert found.photos[0].captions[1] == "A girl going into a wooden building ."
    assert found.notes == ()


@pytest.mark.skipif(not (SHARED / "coco").is_dir(), reason="../shared/coco is not here")
def test_the_real_coco_val2017() -> None:
    found = read_captions(SHARED / "coco")
    assert found.format == "coco"
    assert found.counts == {"dev": (5000, 25014)}
    assert len(found.notes) == 1
    assert "captions only" in found.notes[0]
