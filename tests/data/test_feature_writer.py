"""The feature writer: stopped anywhere, it goes on; what it leaves is what it would have left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data import FeatureStore, FeatureWriter, partial
from unrolled.errors import FeatureStoreError, InputError, ShapeError

NAMES = [f"{n}.jpg" for n in range(10)]
ENCODER = {"name": "lite0"}


def row(name: str) -> np.ndarray:
    return np.arange(3, dtype=np.float32) + int(name.split(".")[0])


def grid(name: str) -> np.ndarray:
    return np.stack([row(name) * 2, row(name) * 3])


def writer(path: Path, names=tuple(NAMES), encoder=None, **kwargs) -> FeatureWriter:
    return FeatureWriter(
        path, names, encoder or ENCODER, **({"dim": 3, "locations": 2, "chunk": 4} | kwargs)
    )


def fill(each: FeatureWriter, count: int | None = None) -> None:
    for name in each.remaining[:count]:
        each.add(name, row(name), grid(name))


def stop(path: Path, count: int | None = None, **kwargs) -> int:
    """Write some rows until Ctrl-C; returns how many had been there."""

    def write() -> None:
        with writer(path, **kwargs) as each:
            nonlocal there
            there = len(NAMES) - len(each.remaining)
            fill(each, count)
            raise KeyboardInterrupt

    there = 0
    with pytest.raises(KeyboardInterrupt):
        write()
    return there


@cache
def whole() -> bytes:
    """Return the store that nothing interrupted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        with writer(path) as each:
            fill(each)
        return path.read_bytes()


@cache
def parts() -> dict[str, bytes]:
    """Return the files of ``FILE.partial`` when all rows are there."""
    with tempfile.TemporaryDirectory() as folder:
        stop(Path(folder) / "f")
        return {file.name: file.read_bytes() for file in (Path(folder) / "f.partial").iterdir()}


@settings(deadline=None, max_examples=15)
@given(counts=st.lists(st.integers(0, 5), max_size=4), chunk=st.integers(1, 5))
def test_stopped_by_exceptions_it_leaves_the_same_bytes(counts: list[int], chunk: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        done = 0
        for count in counts:
            assert stop(path, count, chunk=chunk) == done
            done = min(done + count, len(NAMES))
            assert not path.exists()
        with writer(path, chunk=chunk) as each:
            fill(each)
        assert path.read_bytes() == whole()
        assert not list(Path(folder).glob("*.partial"))


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_cut_off_or_damaged_anywhere_it_goes_on_from_a_whole_chunk(data) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        (Path(folder) / "f.partial").mkdir()
        for name, content in parts().items():
            (Path(folder) / "f.partial" / name).write_bytes(content)
        names = ["journal.jsonl", "pooled.bin", "grid.bin"]
        file = Path(folder) / "f.partial" / data.draw(st.sampled_from(names))
        content = file.read_bytes()
        at = data.draw(st.integers(0, len(content) - 1))
        tail = data.draw(st.sampled_from([b"", bytes([content[at] ^ 255]) + content[at + 1 :]]))
        file.write_bytes(content[:at] + tail)
        with writer(path) as each:
            done = len(NAMES) - len(each.remaining)
            assert done in (0, 4, 8)
            if file.suffix == ".bin":
                bytes_a_row = len(content) // len(NAMES)
                assert done == at // bytes_a_row // 4 * 4
            fill(each)
        assert path.read_bytes() == whole()


@pytest.mark.parametrize("damaged", ["journal.jsonl", "pooled.bin", "grid.bin"])
def test_what_stands_behind_the_last_whole_chunk_is_dropped(tmp_path: Path, damaged: str) -> None:
    """Or it would follow the rows into a store that is finished without the ones cut off."""
    path, folder = tmp_path / "f", tmp_path / "f.partial"
    stop(path)
    content = (folder / damaged).read_bytes()
    at = content.index(b"\n") + 9 if damaged == "journal.jsonl" else len(content) // 2
    (folder / damaged).write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
    writer(path).close()
    first_line = parts()["journal.jsonl"].index(b"\n") + 1
    kept = {"journal.jsonl": first_line, "pooled.bin": 4 * 3 * 4, "grid.bin": 4 * 2 * 3 * 2}
    for name, size in kept.items():
        assert (folder / name).read_bytes() == parts()[name][:size]
    writer(path).finish()
    store = FeatureStore.open(path)
    store.verify()
    assert store.names == tuple(NAMES[:4])


def test_a_line_that_lost_only_its_end_is_not_whole(tmp_path: Path) -> None:
    """The next line would be glued to it, and both be lost at the restart after that."""
    path, journal = tmp_path / "f", tmp_path / "f.partial" / "journal.jsonl"
    stop(path)
    journal.write_bytes(journal.read_bytes()[:-1])
    assert stop(path) == 8
    assert stop(path) == len(NAMES)


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_feature_writer as t
each = t.writer(Path(sys.argv[2]))
for name in each.remaining[:7]:
    each.add(name, t.row(name), t.grid(name))
print("here", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL and locks as POSIX has them")
def test_kill_9_loses_a_chunk_at_most_and_lets_go_of_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path / "f")]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"here\n"
        with pytest.raises(FeatureStoreError, match="another process is writing here"):
            writer(tmp_path / "f")
        child.send_signal(signal.SIGKILL)
        child.wait()
    with writer(tmp_path / "f") as each:
        assert each.remaining == tuple(NAMES[4:])  # 7 were added, 4 are a chunk
        fill(each)
    assert (tmp_path / "f").read_bytes() == whole()


def test_a_full_disk_loses_nothing_that_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync
    calls = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) in (4, 5, 6):  # the second chunk's, and again when closing
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(partial.os, "fsync", full)
    with (
        pytest.raises(FeatureStoreError, match="No space left on device"),
        writer(tmp_path / "f") as each,
    ):
        fill(each)
    monkeypatch.undo()
    with writer(tmp_path / "f") as each:
        assert each.remaining == tuple(NAMES[4:])
        fill(each)
    assert (tmp_path / "f").read_bytes() == whole()


def test_a_chunk_that_failed_may_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = writer(tmp_path / "f", chunk=100)
    fill(each)
    real = os.fsync
    for failing in (1, 2, 3):  # pooled, grid, journal
        count = iter(range(1, 9))

        def interrupted(handle: int, failing=failing, count=count) -> None:
            real(handle)
            if next(count) == failing:
                raise KeyboardInterrupt

        monkeypatch.setattr(partial.os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            each.flush()
    monkeypatch.undo()
    each.finish()
    store = FeatureStore.open(tmp_path / "f")
    store.verify()
    assert (tmp_path / "f").read_bytes() == whole()


def test_the_store_that_is_there_stays_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    before = whole()
    path.write_bytes(before)
    old = FeatureStore.open(path)
    each = writer(path, names=NAMES[::-1])
    fill(each)

    def refuse(*_: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(FeatureStoreError, match="Permission denied"):
        each.finish()
    monkeypatch.undo()
    assert path.read_bytes() == before
    with writer(path, names=NAMES[::-1]) as each:
        assert each.remaining == ()
    assert FeatureStore.open(path).names == tuple(NAMES[::-1])
    np.testing.assert_array_equal(old.pooled[0], row(NAMES[0]))  # an open store is not disturbed


def test_photos_that_are_passed_over_are_asked_for_again(tmp_path: Path) -> None:
    each = writer(tmp_path / "f")
    for name in each.remaining:
        if name != "3.jpg":
            each.add(name, row(name), grid(name))
    assert each.remaining == ("3.jpg",)
    each.close()
    with writer(tmp_path / "f") as each:
        assert each.remaining == ("3.jpg",)
    store = FeatureStore.open(tmp_path / "f")
    store.verify()
    assert store.names == tuple(name for name in NAMES if name != "3.jpg")
    assert all((store.pooled[store.index(name)] == row(name)).all() for name in store.names)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": {"name": "lite2"}}, "begun with encoder {'name': 'lite0'}, now {'name': 'l"),
        ({"names": NAMES[:9]}, "begun with names (a list of 10), now (a list of 9)"),
        ({"dim": 4}, "begun with shapes {'pooled': [3], 'grid': [2, 3]}, now {'pooled': [4]"),
        ({"locations": None}, "now {'pooled': [3]}"),
    ],
)
def test_going_on_with_something_else_is_an_error(tmp_path: Path, change, message: str) -> None:
    each = writer(tmp_path / "f")
    fill(each)
    each.close()
    with pytest.raises(FeatureStoreError) as raised:
        writer(tmp_path / "f", **change)
    assert message in str(raised.value)
    assert "or delete that folder to start anew" in str(raised.value)
    with writer(tmp_path / "f") as each:  # the attempt has changed nothing
        assert each.remaining == ()


def test_foreign_folders_and_places(tmp_path: Path) -> None:
    (tmp_path / "f.partial").mkdir()
    (tmp_path / "f.partial" / "plan.json").write_text("[]")
    with pytest.raises(FeatureStoreError, match="not what an interrupted writer leaves; delete"):
        writer(tmp_path / "f")
    (tmp_path / "file").touch()
    with pytest.raises(FeatureStoreError, match="cannot be written"):
        writer(tmp_path / "file" / "f")


@pytest.mark.parametrize("place", [".", "", "..", "folder", "/"])
def test_a_folder_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FeatureStoreError, match="a folder, where the store's file should be"):
        writer(Path(place))
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    with writer(tmp_path / "new" / "er" / "f") as each:
        fill(each)
    assert (tmp_path / "new" / "er" / "f").read_bytes() == whole()


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file can have the path"):
        writer(tmp_path / "f\0")
    for names in ([], ["a", "a"]):
        with pytest.raises(InputError, match="names must be unique, and at least one"):
            writer(tmp_path / "f", names=names)
    for change in ({"dim": 0}, {"chunk": 0}, {"locations": 0}):
        with pytest.raises(InputError, match="must be at least 1"):
            writer(tmp_path / "f", **change)
    assert not list(tmp_path.iterdir())


def test_wrong_rows(tmp_path: Path) -> None:
    name = NAMES[0]
    each = writer(tmp_path / "f")
    nan = np.full(3, np.nan, np.float32)
    cases = [
        (("x.jpg", row(name), grid(name)), InputError, "'x.jpg' is none of the names"),
        ((name, row(name)), ShapeError, "expected pooled and grid, got pooled"),
        ((name, row(name)[:2], grid(name)), ShapeError, "pooled must be (3,), got (2,)"),
        ((name, row(name), grid(name)[:1]), ShapeError, "grid must be (2, 3), got (1, 3)"),
        ((name, nan, grid(name)), InputError, "pooled has numbers that are not finite"),
        ((name, row(name), np.full((2, 3), 1e5)), InputError, "grid has numbers that are not f"),
    ]
    for arguments, error, message in cases:
        with pytest.raises(error) as raised:
            each.add(*arguments)
        assert message in str(raised.value)
    assert each.remaining == tuple(NAMES)
    each.add(name, row(name), grid(name))
    with pytest.raises(InputError, match=r"'0\.jpg' was added before"):
        each.add(name, row(name), grid(name))
    each.flush()
    with pytest.raises(InputError, match=r"'0\.jpg' was added before"):
        each.add(name, row(name), grid(name))
    each.close()
    each.close()


def view_writer(path: Path, views=("whole", "flipped"), **kwargs) -> FeatureWriter:
    sizes = {"dim": 3, "locations": 2, "chunk": 4} | kwargs
    return FeatureWriter(path, NAMES, ENCODER, views=views, **sizes)


def fill_views(each: FeatureWriter, count: int | None = None) -> None:
    for name in each.remaining[:count]:
        each.add(name, np.stack([row(name), -row(name)]), np.stack([grid(name), -grid(name)]))


def test_views_are_arrays_of_their_own(tmp_path: Path) -> None:
    with view_writer(tmp_path / "f") as each:
        fill_views(each)
    store = FeatureStore.open(tmp_path / "f")
    store.verify()
    assert store.views == ("whole", "flipped")
    for kind, made in (("pooled", row), ("grid", grid)):
        expected = np.stack([made(name) for name in NAMES])
        np.testing.assert_array_equal(store.array(kind), expected)
        np.testing.assert_array_equal(store.array(kind, "flipped"), -expected)
    assert store.array("pooled") is store.pooled
    assert store.array("grid") is store.grid
    with pytest.raises(FeatureStoreError, match=r"no array 'grid\.top_left', only pooled, grid, "):
        store.array("grid", "top_left")


@pytest.mark.parametrize("count", range(0, 11, 3))
def test_views_that_were_stopped_go_on_to_the_same_bytes(tmp_path: Path, count: int) -> None:
    with view_writer(tmp_path / "whole") as each:
        fill_views(each)
    each = view_writer(tmp_path / "f")
    fill_views(each, count)
    each.close()
    with pytest.raises(FeatureStoreError, match="begun with shapes"):
        view_writer(tmp_path / "f", views=["whole"])
    with view_writer(tmp_path / "f") as each:
        assert len(each.remaining) == len(NAMES) - count
        fill_views(each)
    assert (tmp_path / "f").read_bytes() == (tmp_path / "whole").read_bytes()


def test_wrong_views(tmp_path: Path) -> None:
    for views in ([], ["flipped"], ["flipped", "whole"], ["whole", "whole"]):
        with pytest.raises(InputError, match="views must be unique, whole first"):
            view_writer(tmp_path / "f", views=views)
    each = view_writer(tmp_path / "f")
    with pytest.raises(ShapeError, match="pooled must be of 2 views, got 3"):
        each.add(NAMES[0], row(NAMES[0]), np.stack([grid(NAMES[0])] * 2))
    with pytest.raises(ShapeError, match="grid must be of 2 views, got 1"):
        each.add(NAMES[0], np.stack([row(NAMES[0])] * 2), grid(NAMES[0])[None])
    each.close()


def test_large_rows_are_brought_to_the_disk_sooner(tmp_path: Path) -> None:
    """A chunk of grids that waited for 256 photos would take gigabytes."""
    row_bytes = 4 + 2 * 9_000_000
    with FeatureWriter(tmp_path / "f", NAMES, ENCODER, dim=1, locations=9_000_000) as each:
        each.add(NAMES[0], np.zeros(1), np.zeros((9_000_000, 1), np.float16))
        assert (tmp_path / "f.partial" / "grid.bin").stat().st_size == row_bytes - 4


def test_no_rows_are_no_store(tmp_path: Path) -> None:
    with (
        pytest.raises(FeatureStoreError, match="not written, as no photo gave features"),
        writer(tmp_path / "f"),
    ):
        pass
    assert not (tmp_path / "f").exists()


def test_rows_are_copied_when_they_are_added(tmp_path: Path) -> None:
    values = row("1.jpg")
    with FeatureWriter(tmp_path / "f", ["1.jpg"], ENCODER, dim=3) as each:
        each.add("1.jpg", values)
        values[:] = 0
    np.testing.assert_array_equal(FeatureStore.open(tmp_path / "f").pooled[0], row("1.jpg"))
