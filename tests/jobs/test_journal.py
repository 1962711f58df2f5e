"""A journal of captions: what is in it outlives a kill, and nothing else is taken for one."""

import json
import math
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unrolled.captioner import Caption
from unrolled.errors import DataError
from unrolled.jobs.journal import Journal
from unrolled.jobs.journal_lines import PhotoFile

SETTINGS = {"captioner": "0123", "width": 3, "prefix": "a photo"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def photo(number, size=10, mtime_ns=20):
    return PhotoFile(str(Path(f"/album/{number}.jpg").absolute()), size, mtime_ns)


def fill(path, count=3):
    with Journal(path, SETTINGS) as journal:
        for number in range(count):
            journal.append(photo(number), [Caption(f"a dog {number}", -1.5 - number)])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "captions.jsonl"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.lists(st.builds(Caption, TEXT, st.floats()), min_size=1, max_size=3),
            st.frozensets(st.sampled_from(["photo", "sidecar"])),
        ),
        max_size=8,
    )
)
def test_what_goes_in_comes_out_the_latest_of_each_photo(tmp_path, lines):
    path = tmp_path / "captions.jsonl"
    path.unlink(missing_ok=True)
    with Journal(path, SETTINGS) as journal:
        for number, captions, written in lines:
            journal.append(photo(number), captions, written)
    with Journal(path, SETTINGS) as journal:
        for number, (captions, written) in {n: rest for n, *rest in lines}.items():
            entry = journal.find(photo(number))
            assert (entry.written, entry.left) == (written, frozenset())
            found = journal.captions(photo(number).path)
            assert [c.text for c in found] == [c.text for c in captions]
            for was, now in zip(captions, found, strict=True):
                same = math.isnan(now.log_prob) if not math.isfinite(was.log_prob) else was == now
                assert same


def test_lines_are_json_that_any_reader_takes(path):
    fill(path)
    header, *lines = map(json.loads, path.read_text("ascii").splitlines())
    assert header == {"journal": "unrolled caption", "version": 1, "settings": SETTINGS}
    assert lines[1] == {**photo(1)._asdict(), "caption": "a dog 1", "log_prob": -2.5}


@pytest.mark.parametrize("change", [{"size": 11}, {"mtime_ns": 21}])
def test_a_photo_that_has_changed_is_not_done(path, change):
    fill(path)
    with Journal(path, SETTINGS) as journal:
        assert journal.find(photo(1)) is not None
        assert journal.find(photo(1)._replace(**change)) is None
        assert journal.captions(photo(1).path) is None
        assert journal.captions(photo(2).path) is not None


def test_wherever_it_is_torn_off_the_whole_lines_stay(path):
    """A kill, or a crash of the machine, may cut it anywhere."""
    fill(path)
    whole = path.read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with Journal(path, SETTINGS) as journal:
            done = [n for n in range(3) if journal.find(photo(n))]
            assert done == list(range(max(sum(end <= cut for end in ends) - 1, 0)))
            for number in range(len(done), 3):
                journal.append(photo(number), [Caption(f"a dog {number}", -1.5 - number)])
        assert path.read_bytes() == whole


def test_other_settings_are_refused_by_name_and_change_nothing(path):
    fill(path)
    whole = path.read_bytes()
    for change in ({"width": 5}, {"captioner": "4567"}, {"new": 1}):
        with pytest.raises(DataError, match=f"begun with {next(iter(change))} .*, now "):
            Journal(path, SETTINGS | change)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    [
        b"my novel",
        b"my novel\n",
        b"{}\n",
        b"[1]\n",
        b'{"journal": "diary"}\n',
        b"\x89PNG\r\n\x1a\n",
        b"\0" * 99,
        b'{"journal": "unrolled caption", "version": 2, "settings": {}}\n',
    ],
)
def test_another_file_is_never_taken_for_a_journal(path, content):
    path.write_bytes(content)
    with pytest.raises(DataError, match="no journal of captions"):
        Journal(path, SETTINGS)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "line",
    [
        "", "{}", "[]", "my novel", "é", '{"path": 1, "size": 1}',
        '{"path": "a", "size": 1e9, "mtime_ns": 2, "caption": "a dog", "log_prob": -1}',
        f'{{"path": "a", "size": 1, "mtime_ns": {2**70}, "caption": "a dog", "log_prob": -1}}',
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_said_by_number(path, line):
    fill(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[2:]]) + "\n")
    with pytest.raises(DataError, match=r"captions\.jsonl:3: no line of a journal"):
        Journal(path, SETTINGS)


def test_a_disk_that_is_full_is_said_and_leaves_whole_lines(path, monkeypatch):
    import io

    fill(path, 1)

    class Full(io.FileIO):
        def write(self, data):
            return super().write(data[:7])

    monkeypatch.setattr(io, "FileIO", Full)
    with Journal(path, SETTINGS) as journal:
        with pytest.raises(DataError, match="cannot be written"):
            journal.append(photo(5), [Caption("a cat", -1.0)])
        assert journal.find(photo(0))
    monkeypatch.undo()
    with Journal(path, SETTINGS) as journal:
        assert [bool(journal.find(photo(n))) for n in (0, 5)] == [True, False]


@pytest.mark.skipif(sys.platform == "win32", reason="locked otherwise there")
def test_two_processes_do_not_share_one(path):
    fill(path)
    code = f"""
        from unrolled.jobs.journal import Journal
        try:
            Journal({str(path)!r}, {SETTINGS!r})
        except Exception as error:
            print(error)
    """
    with Journal(path, SETTINGS):
        out = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
        )
    assert "another process is writing here" in out.stdout


def test_places_where_no_journal_can_be_are_said(tmp_path):
    (tmp_path / "folder").mkdir()
    for place in (tmp_path / "folder", tmp_path / "gone" / "a.jsonl", "/dev/null"):
        with pytest.raises(DataError, match=str(place)):
            Journal(place, SETTINGS)


def test_without_a_path_it_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("unrolled.jobs.journal._MOST_IN_MEMORY", 300)
    with Journal(None, {}) as journal:
        for number in range(9):
            journal.append(photo(number), [Caption(f"a dog {number}", -1.0)])
            assert journal.captions(photo(0).path) == [Caption("a dog 0", -1.0)]
        assert journal.captions(photo(8).path) == [Caption("a dog 8", -1.0)]
        assert not any(each.is_file() for each in tmp_path.iterdir())
