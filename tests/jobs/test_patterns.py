"""Patterns of photos' names, held to what bash makes of the same."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from unrolled.errors import ImageError
from unrolled.jobs.patterns import match
from unrolled.jobs.photos import find_photos

FILES = [
    "a.jpg", "B.JPG", "b.png", "notes.txt", ".hidden.jpg", "[odd]*.jpg", "x?.jpg",
    "trip/c.jpg", "trip/day 1/d.jpg", "trip/day 1/deep/e.jpg", "trip/.cache/f.jpg",
    "trip 2/new\nline.jpg", "trip 2/quote'\".jpg", "empty/readme.md",
]  # fmt: skip


@pytest.fixture
def album(tmp_path, monkeypatch):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "trip" / "round").symlink_to(tmp_path, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    "pattern",
    [
        "*.jpg", "*", "?.jpg", "[ab].*", "[!a].*", "**/*.jpg", "trip*/*.jpg", "**/*", "./**/c*",
        "trip/**/*.jpg", "trip/**", "t*/**/deep/*.jpg", ".*.jpg", "**/.c*/*", "*/day 1/*.jpg",
        "trip*/", "none*", "trip/../*.jpg", "trip//*.jpg", "*.[jJ][pP][gG]",
    ],
)  # fmt: skip
def test_a_pattern_fits_what_it_fits_in_bash(album, pattern):
    quoted = pattern.replace(" ", "\\ ")
    script = f"shopt -s globstar nullglob; export LC_ALL=C; printf '%s\\0' {quoted}"
    out = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    wanted = {os.fsdecode(each).rstrip("/") for each in out.split(b"\0") if each}
    # With ** bash finds a folder in itself, too, and it looks behind a link to a folder.
    wanted = {each for each in wanted if "round" not in each}
    found = {each.rstrip("/") for each in match(pattern)}
    assert {w for w in wanted if not Path(w).is_dir()} == {f for f in found if Path(f).is_file()}
    if "**" not in pattern:
        assert wanted == found


def test_a_pattern_stands_for_photos_by_name_a_folders_own_before_those_inside(album):
    assert find_photos(["**/*.jpg"]) == [
        "[odd]*.jpg", "a.jpg", "x?.jpg", "trip/c.jpg", "trip/day 1/d.jpg", "trip/day 1/deep/e.jpg",
        "trip 2/new\nline.jpg", "trip 2/quote'\".jpg",
    ]  # fmt: skip


def test_of_what_fits_the_photos_are_taken_and_those_of_folders(album):
    assert find_photos(["t*"]) == ["trip/c.jpg", "trip 2/new\nline.jpg", "trip 2/quote'\".jpg"]
    assert len(find_photos(["t*"], recursive=True)) == 5
    assert "notes.txt" not in find_photos(["*"])


def test_a_photo_that_fits_in_two_ways_is_one(album):
    found = find_photos(["**/*"], recursive=True)
    assert len(found) == len(set(found)) == 10


def test_a_file_of_that_very_name_is_meant_first(album):
    assert find_photos(["[odd]*.jpg", "x?.jpg"]) == ["[odd]*.jpg", "x?.jpg"]


def test_what_stands_before_the_pattern_stays_to_the_letter(album):
    for before in ("./", "trip/../", f"{album}/", f"{album}//"):
        assert find_photos([f"{before}a*.jpg"]) == [f"{before}a.jpg"]


def test_what_fits_nothing_is_an_error_that_says_so(album):
    for pattern in ("none*.jpg", "empty/*", "notes.t?t"):
        with pytest.raises(ImageError, match="there is no such file, and as a pattern it fits no"):
            find_photos([pattern])


def test_links_that_lead_nowhere_are_no_folders(album):
    """They fit as in bash; what is wrong with one of a photo's name is told at its turn."""
    for name in ("loop", "loop.jpg"):
        (album / name).symlink_to(name)
    (album / "lost.jpg").symlink_to("gone")
    assert list(match("lo*")) == ["loop", "loop.jpg", "lost.jpg"]
    assert list(match("lo*/*")) == []
    assert find_photos(["[bl]*"]) == ["b.png", "loop.jpg", "lost.jpg"]


def test_a_folder_that_cannot_be_listed_is_an_error_that_says_so(album, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ImageError, match=r"trip/: cannot be listed \(Permission denied\)"):
        find_photos(["trip/*.jpg"])


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_text_fit_too(album):
    try:
        (album / os.fsdecode(b"\xff.jpg")).touch()
    except OSError:
        pytest.skip("this file system has no such names")
    assert os.fsdecode(b"\xff.jpg") in find_photos(["?.jpg"])
