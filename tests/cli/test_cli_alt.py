"""``unrolled alt``: a diff first, and nothing written that nobody agreed to."""

import os
import pty
import select
import shutil
import time

import pytest

from commands import call, start

PAGE = """<!DOCTYPE html>\r
<img src="00_red.jpg">\r
<img src="03_red.jpg" alt="">
<img src="//x/a.jpg">
"""


@pytest.fixture
def page(tmp_path, photos):
    for name in ("00_red.jpg", "03_red.jpg"):
        shutil.copy(photos / name, tmp_path)
    path = tmp_path / "index.html"
    path.write_bytes(PAGE.encode())
    return path


@pytest.fixture
def alt(cli, captioner_folder):
    return lambda *arguments: cli("alt", "--model", captioner_folder, *arguments)


def filled(page):
    """What the page is to be, from what the diff says."""
    before, after = PAGE.split('<img src="00_red.jpg">')
    text = page.read_bytes().decode()
    assert text.startswith(f'{before}<img alt="')
    assert text.endswith(f'" src="00_red.jpg">{after}')
    return text[len(before) : -len(after)]


@pytest.mark.parametrize("options", [[], ["--diff"]])
def test_without_yes_and_without_a_terminal_only_the_diff_is_shown(alt, page, options):
    said = alt(page, *options)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[:2] == [f"--- {page}", f"+++ {page}"]
    assert [line[:5] for line in lines if line[0] in "+-"][2:] == ["-<img", "+<img"]
    assert said.err == (
        f"skipped: {page}:4: //x/a.jpg: it is not on this machine\nnothing was written.\n"
    )
    assert page.read_bytes() == PAGE.encode()


def test_yes_writes_and_another_time_there_is_nothing_to_do(alt, page):
    said = alt(page, "--yes")
    assert said.code == 0
    assert f"wrote {page}: 1 alt text." in said.err
    assert f"+{filled(page)}" in said.out
    once = page.read_bytes()
    said = alt(page, "--yes")
    assert (said.code, said.out) == (0, "")
    assert said.err.endswith("no image lacks an alt that could be filled; nothing was written.\n")
    assert page.read_bytes() == once


def test_yes_and_diff_are_not_both_to_be_had(alt, page):
    assert "choose one of --yes and --diff" in alt(page, "--yes", "--diff").err


def test_pages_that_are_not_there_are_said(alt, page):
    said = alt(page, page.with_name("gone.html"), "--yes")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert "gone.html: cannot be read (No such file or directory)" in said.err
    assert page.read_bytes() == PAGE.encode()


def test_help_has_an_example():
    assert "unrolled alt index.html" in call("alt", "--help").out


@pytest.mark.skipif(os.name == "nt", reason="no such terminals there")
@pytest.mark.parametrize(("answer", "agreed"), [("y", True), ("", False)])
def test_on_a_terminal_it_asks(page, captioner_folder, answer, agreed, cache_of_encoders):
    ours, theirs = pty.openpty()
    process = start(
        "alt", page, "--model", captioner_folder, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = ""
    deadline = time.monotonic() + 120
    asked = False
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                shown += os.read(ours, 65536).decode()
            except OSError:  # the other end has gone
                break
        if not asked and "Write 1 alt text" in shown:
            asked = True
            assert "+<img alt=" in shown  # the diff comes first
            assert page.read_bytes() == PAGE.encode()
            os.write(ours, f"{answer}\n".encode())
    os.close(ours)
    assert process.wait(30) == 0, shown
    assert asked
    assert (page.read_bytes() != PAGE.encode()) == agreed
    assert ("wrote" in shown) == agreed
    assert ("nothing was written." in shown) != agreed
