"""Albums: nothing captioned twice, nothing lost, however a run ends and however often."""

import io
import json
import os
import shutil
import tracemalloc
from pathlib import Path

import pytest
from albums import Seer, photo_bytes, pixels, write_album

from unrolled.errors import ImageError, MetadataError
from unrolled.jobs.album import Writing, caption_album
from unrolled.jobs.journal import Journal
from unrolled.jobs.metadata import photos as metadata

BOTH = ("sidecar", "photo")


class Killed(BaseException):
    """Neither an error nor Ctrl-C: nothing may handle it, as nothing handles a kill."""


def run(paths, journal, seer=None, **options):
    seer = seer or Seer()
    writing = Writing(options.pop("places", ()), options.pop("overwrite", False))
    with Journal(journal, {}) as done:
        events = list(
            caption_album(paths, seer, done, decoding=seer.decoding, writing=writing, **options)
        )
        return events, {path: done.captions(path) for path in paths}


def lines(journal):
    """Its whole lines but the first: what stands behind them has been torn off."""
    return [json.loads(line) for line in Path(journal).read_bytes().split(b"\n")[1:-1]]


@pytest.fixture
def album(tmp_path):
    return write_album(tmp_path / "album", 10)


def test_a_run_that_was_whole_is_not_done_again(album, tmp_path):
    seer = Seer()
    _, first = run(album, tmp_path / "j", seer)
    events, again = run(album, tmp_path / "j", seer)
    assert first == again
    assert None not in first.values()
    assert set(seer.said.values()) == {1}
    assert [(e.done, e.total) for e in events] == [(10, 10)]


def test_progress_counts_every_photo_once(album, tmp_path):
    given = [*album, album[0], os.path.relpath(album[1])]
    events, found = run(given, tmp_path / "j")
    assert [e.done for e in events] == list(range(11))
    assert {e.total for e in events} == {10}
    assert found[os.path.relpath(album[1])] == found[album[1]]


def test_photos_that_are_new_or_have_changed_are_captioned_and_no_other(album, tmp_path):
    run(album[:8], tmp_path / "j")
    shutil.copy(album[9], album[3])
    os.utime(album[5], ns=(1, 1))
    seer = Seer()
    _, found = run(album, tmp_path / "j", seer)
    assert set(seer.said) == {Path(album[n]).name for n in (3, 5, 8, 9)}
    assert found[album[3]] == found[album[9]]


def test_a_photo_that_can_no_longer_be_read_has_no_caption(album, tmp_path):
    run(album, tmp_path / "j")
    Path(album[3]).write_bytes(b"gone bad")
    Path(album[4]).unlink()
    events, found = run(album, tmp_path / "j", skip_bad=True)
    assert [path for path in album if found[path] is None] == [album[3], album[4]]
    assert [str(e.problem).partition(":")[0] for e in events[1:]] == [album[3], album[4]]
    with pytest.raises(ImageError, match="003"):
        run(album, tmp_path / "j")


def test_what_was_done_before_a_bad_photo_is_kept(album, tmp_path):
    Path(album[6]).write_bytes(b"no photo")
    with pytest.raises(ImageError):
        run(album, tmp_path / "j")
    seer = Seer()
    run(album, tmp_path / "j", seer, skip_bad=True)
    assert len(lines(tmp_path / "j")) == 9
    assert set(seer.said.values()) == {1}


def test_a_photo_that_changes_while_it_is_captioned_is_captioned_again(album, tmp_path):
    class Slow(Seer):
        def photo_candidates(self, paths, **options):
            for path, captions in super().photo_candidates(paths, **options):
                if path.name.startswith("002"):
                    os.utime(path, ns=(5, 5))
                yield path, captions

    run(album, tmp_path / "j", Slow(), places=("photo",))
    seer = Seer()
    run(album, tmp_path / "j", seer, places=("photo",))
    assert list(seer.said) == ["002.webp"]


@pytest.mark.parametrize("captioned_before", [True, False])
def test_a_photo_that_is_replaced_gets_no_caption_of_the_one_before(
    album, tmp_path, monkeypatch, captioned_before
):
    path, other = Path(album[2]), photo_bytes(9, "WEBP")

    class Slow(Seer):
        def photo_candidates(self, paths, **options):
            for each, captions in super().photo_candidates(paths, **options):
                if each == path:
                    path.write_bytes(other)
                yield each, captions

    plain = Journal.captions

    def slowly(journal, each):
        path.write_bytes(other)
        return plain(journal, each)

    with monkeypatch.context() as patch:
        if captioned_before:
            run(album, tmp_path / "j")
            patch.setattr(Journal, "captions", slowly)
        events, _ = run(album, tmp_path / "j", Slow(), places=BOTH)
    problems = [str(e.problem) for e in events if e.problem]
    assert problems == [f"{path}: changed since it was looked at; no alt text was written for it"]
    assert events[-1].done == events[-1].total == 10
    assert path.read_bytes() == other
    assert not Path(f"{path}.xmp").exists()
    seer = Seer()
    _, found = run(album, tmp_path / "j", seer, places=BOTH)
    assert seer.said == {path.name: 1}
    assert found[str(path)] == run([album[2]], tmp_path / "other")[1][str(path)]
    assert found[str(path)][0].text.encode() in path.read_bytes()


def test_a_photo_that_changes_amid_the_writing_is_captioned_again(album, tmp_path, monkeypatch):
    path, other = Path(album[2]), photo_bytes(9, "WEBP")
    plain = metadata.replace_file

    def slowly(place, data, **options):
        if place == path:
            path.write_bytes(other)
        plain(place, data, **options)

    with monkeypatch.context() as patch:
        patch.setattr(metadata, "replace_file", slowly)
        events, _ = run(album, tmp_path / "j", places=("photo",), skip_bad=True)
    assert [str(e.problem) for e in events if e.problem] == [
        f"{path}: changed since it was read; nothing was written to it"
    ]
    assert path.read_bytes() == other
    seer = Seer()
    run(album, tmp_path / "j", seer, places=("photo",))
    assert seer.said == {path.name: 1}


def test_two_alt_texts_of_a_photo_are_told_unless_both_are_written(album, tmp_path):
    metadata.write_photo(album[2], "Grandmother at the lake")
    metadata.write_sidecar(album[4], "Grandfather by the sea")

    def told(name, *places):
        events, _ = run(album, tmp_path / name, places=places, overwrite=True)
        return [e.two for e in events[1:]]

    assert told("j", "sidecar") == [n == 2 for n in range(10)]
    assert b"Grandmother" in Path(album[2]).read_bytes()
    assert not any(told("j", "sidecar", "photo"))
    metadata.write_sidecar(album[6], "A child asleep", True)
    assert told("other", "photo") == [n == 6 for n in range(10)]


def test_captions_of_an_earlier_run_are_written_later_and_not_made_again(album, tmp_path):
    seer = Seer()
    _, found = run(album, tmp_path / "j", seer)
    run(album, tmp_path / "j", seer, places=("sidecar",))
    run(album, tmp_path / "j", seer, places=BOTH)
    _, again = run(album, tmp_path / "j", seer, places=BOTH)
    assert set(seer.said.values()) == {1}
    assert again == found
    for path in album:
        text = found[path][0].text.encode()
        assert text in Path(path).read_bytes()
        assert text in Path(f"{path}.xmp").read_bytes()
    assert lines(tmp_path / "j")[-1]["written"] == ["photo", "sidecar"]


def test_an_alt_text_that_is_there_is_left_alone_and_looked_at_once(album, tmp_path, monkeypatch):
    metadata.write_photo(album[2], "Grandmother at the lake")
    before = Path(album[2]).read_bytes()
    events, found = run(album, tmp_path / "j", places=BOTH)
    assert [e.left for e in events].count(True) == 1
    assert Path(album[2]).read_bytes() == before
    assert not Path(f"{album[2]}.xmp").exists()
    run(album, tmp_path / "j", places=BOTH)
    assert len(lines(tmp_path / "j")) == 10
    run(album, tmp_path / "j", places=BOTH, overwrite=True)
    assert found[album[2]][0].text.encode() in Path(album[2]).read_bytes()
    assert Path(f"{album[2]}.xmp").exists()
    assert len(lines(tmp_path / "j")) == 11


def test_an_alt_text_that_cannot_be_written_costs_no_caption(album, tmp_path):
    Path(f"{album[4]}.xmp").mkdir()
    with pytest.raises(MetadataError, match=r"\.xmp: cannot be read \(Is a directory\)"):
        run(album, tmp_path / "j", places=("sidecar",))
    seer = Seer()
    events, found = run(album, tmp_path / "j", seer, places=("sidecar",), skip_bad=True)
    assert Path(album[4]).name not in seer.said
    assert found[album[4]] is not None
    assert [str(e.problem).partition(":")[0] for e in events if e.problem] == [f"{album[4]}.xmp"]
    Path(f"{album[4]}.xmp").rmdir()
    run(album, tmp_path / "j", seer, places=("sidecar",))
    assert Path(f"{album[4]}.xmp").is_file()


def test_killed_at_any_call_to_the_system_it_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    """Before and after each write, sync and replacement there is, until a run is whole."""
    calls = 0

    def one_more(last):
        nonlocal calls
        calls += 1
        if calls == last:
            raise Killed

    def dying(plain, last):
        def call(*arguments, **options):
            one_more(last)
            result = plain(*arguments, **options)
            one_more(last)
            return result

        return call

    class File(io.FileIO):
        def write(self, data):
            one_more(last)
            written = super().write(data[: len(data) // 2])
            one_more(last)
            return written + super().write(data[len(data) // 2 :])

    whole = write_album(tmp_path / "whole", 3)
    before = {Path(path).name: pixels(path) for path in whole}
    _, wanted = run(whole, tmp_path / "whole.jsonl", places=BOTH)
    wanted = {Path(path).name: captions for path, captions in wanted.items()}
    last, survived = 0, False
    while not survived:
        last, calls = last + 1, 0
        folder = tmp_path / str(last)
        album = write_album(folder, 3)
        with monkeypatch.context() as patch:
            for name in ("fsync", "replace", "open"):
                patch.setattr(os, name, dying(getattr(os, name), last))
            patch.setattr(io, "FileIO", File)
            try:
                run(album, folder / "j.jsonl", places=BOTH)
                survived = True
            except Killed:
                pass
        for path in album:  # a photo is always a whole one, whatever is said in it
            assert pixels(path) == before[Path(path).name]
        done = len(lines(folder / "j.jsonl")) if (folder / "j.jsonl").exists() else 0
        seer = Seer()
        _, found = run(album, folder / "j.jsonl", seer, places=BOTH)
        assert sum(seer.said.values()) == 3 - done  # what has a line is not captioned again
        assert {Path(p).name: c for p, c in found.items()} == wanted
        assert len({record["path"] for record in lines(folder / "j.jsonl")}) == 3
        for path in album:
            for place in (path, f"{path}.xmp"):
                twin = tmp_path / "whole" / Path(place).name
                assert Path(place).read_bytes() == twin.read_bytes()
        shutil.rmtree(folder)
    assert last > 30


def test_memory_does_not_grow_with_what_is_said(tmp_path):
    """Of a photo that is done nothing is kept but where its line stands."""
    count = 1000
    names = [str(tmp_path / f"{n}.jpg") for n in range(count)]
    (tmp_path / "0.jpg").touch()
    for name in names[1:]:
        os.link(names[0], name)

    class Long(Seer):
        def photo_candidates(self, paths, **_):
            from unrolled.captioner import Caption

            for path in paths:
                yield Path(path), [Caption(f"{path} " + "word " * 2000, -1.0)]

    tracemalloc.start()
    try:
        with Journal(tmp_path / "j", {}) as done:
            for _ in caption_album(names, Long(), done, decoding=Seer.decoding):
                pass
            kept = tracemalloc.take_snapshot()
            assert sum(len(done.captions(name)[0].text) for name in names) > 10_000 * count
    finally:
        tracemalloc.stop()
    # Python interns the parts of paths, in a table that grows by megabytes when its turn comes.
    ours = kept.filter_traces([tracemalloc.Filter(False, "*pathlib*")]).statistics("filename")
    assert sum(each.size for each in ours) / count < 400  # bytes, where a caption has ten thousand


@pytest.mark.skipif(os.name == "nt", reason="names are others there")
def test_odd_names_come_back(tmp_path):
    names = [
        b"new\nline.jpeg",
        b"quote\"'.jpeg",
        "日本 é.jpeg".encode(),
        b"\xff\xfe.jpeg",
        b" .jpeg",
    ]
    [photo] = write_album(tmp_path, 1)
    try:
        paths = [shutil.copy(photo, os.fsencode(tmp_path) + b"/" + name) for name in names]
    except OSError:
        pytest.skip("this file system has names of text alone")
    paths = [os.fsdecode(path) for path in paths]
    seer = Seer()
    run(paths, tmp_path / "j", seer, places=BOTH)
    _, found = run(paths, tmp_path / "j", seer, places=BOTH)
    assert all(found.values())
    assert set(seer.said.values()) == {1}
    assert all(Path(f"{path}.xmp").exists() for path in paths)
