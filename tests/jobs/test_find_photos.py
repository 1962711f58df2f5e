"""Which photos a person means by the paths they give."""

import os
from pathlib import Path

import pytest

from unrolled.errors import ImageError
from unrolled.jobs.features import photos_by_name
from unrolled.jobs.photos import find_photos


@pytest.fixture
def album(tmp_path):
    """Photos, and what is none, at two depths."""
    for name in ("b.jpg", "a.PNG", "10.webp", "9.webp", "notes.txt", ".hidden.jpg", "jpg"):
        (tmp_path / name).touch()
    for folder in ("trip/day 2", ".cache"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "z.jpg").touch()
    (tmp_path / "trip" / "c.jpeg").touch()
    return tmp_path


def names(folder, paths):
    return [Path(path).relative_to(folder).as_posix() for path in paths]


def test_a_folder_gives_its_photos_by_name(album):
    assert names(album, find_photos([album])) == ["10.webp", "9.webp", "a.PNG", "b.jpg"]


def test_recursion_takes_the_folders_inside_but_hidden_ones(album):
    found = names(album, find_photos([album], recursive=True))
    assert found[4:] == ["trip/c.jpeg", "trip/day 2/z.jpg"]
    assert len(found) == 6


def test_photos_come_in_the_order_given_and_as_often(album):
    given = [album / "b.jpg", album / "9.webp", album / "b.jpg", album]
    folder = ["10.webp", "9.webp", "a.PNG", "b.jpg"]
    assert names(album, find_photos(given)) == ["b.jpg", "9.webp", "b.jpg", *folder]


def test_paths_stay_as_they_were_given(album, monkeypatch):
    monkeypatch.chdir(album)
    given = ["./b.jpg", "trip/../b.jpg", "./trip", "trip//", "."]
    assert find_photos(given)[:5] == [*given[:2], "./trip/c.jpeg", "trip//c.jpeg", "./10.webp"]


def test_what_is_wrong_with_a_path_may_be_told_and_the_others_go_on(album):
    (album / "empty").mkdir()
    given = [album / "gone.jpg", album / "b.jpg", album / "empty", album / "9.webp"]
    errors = []
    assert names(album, find_photos(given, on_error=errors.append)) == ["b.jpg", "9.webp"]
    assert ["no such file" in str(errors[0]), "no photos in" in str(errors[1])] == [True, True]


def test_a_file_is_taken_whatever_its_name(album):
    assert names(album, find_photos([album / "notes.txt", album / ".hidden.jpg"])) == [
        "notes.txt",
        ".hidden.jpg",
    ]


def test_links_to_files_are_followed_and_links_to_folders_are_not(album):
    (album / "link.jpg").symlink_to(album / "b.jpg")
    (album / "again").symlink_to(album, target_is_directory=True)
    found = names(album, find_photos([album], recursive=True))
    assert "link.jpg" in found
    assert not [name for name in found if name.startswith("again")]


def test_no_photos_is_an_error_that_says_what_was_looked_for(album):
    with pytest.raises(ImageError, match=r"trip/day 1: there is no such file or folder"):
        find_photos([album / "b.jpg", album / "trip" / "day 1"])
    (album / "trip" / "c.jpeg").unlink()
    with pytest.raises(ImageError, match=r"trip: no photos in this folder.*\.jpg.*, or -r"):
        find_photos([album / "trip"])
    (album / "empty").mkdir()
    with pytest.raises(ImageError, match="empty: no photos in this folder") as caught:
        find_photos([album / "empty"], recursive=True)
    assert ", or -r" not in str(caught.value)


@pytest.mark.parametrize("name", ["x" * 300, "null\0character", "b.jpg/inside"])
def test_a_path_that_cannot_be_is_an_error_that_says_so(album, name):
    with pytest.raises(ImageError, match=r"cannot be read|no such file"):
        find_photos([album / name])


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_folder_is_an_error_that_says_so(album):
    (album / "trip").chmod(0)
    try:
        with pytest.raises(ImageError, match=r"trip: cannot be listed \(Permission denied\)"):
            find_photos([album], recursive=True)
        with pytest.raises(ImageError, match=r"c\.jpeg: cannot be read \(Permission denied\)"):
            find_photos([album / "trip" / "c.jpeg"])
    finally:
        (album / "trip").chmod(0o755)


def test_a_folder_that_cannot_be_listed_is_no_empty_one(album, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied", str(album))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ImageError, match=r"cannot be listed \(Permission denied\)"):
        find_photos([album])


def test_photos_are_named_by_their_path_from_the_folder(album):
    named = photos_by_name(album)
    assert named["trip/day 2/z.jpg"] == album / "trip" / "day 2" / "z.jpg"
    assert len(named) == 6
    with pytest.raises(ImageError, match=r"b\.jpg: expected a folder of photos"):
        photos_by_name(album / "b.jpg")
