"""``unrolled caption`` over albums: journals, kills, patterns, alt text beside and in photos."""

import csv
import io
import json
import os
import re
import signal
import stat
import time

import pytest
from PIL import Image

from commands import CODE, call_here, start
from unrolled.captioner import Captioners
from unrolled.jobs.metadata.photos import write_photo
from unrolled.jobs.metadata.xmp import Packet

SLOWLY = (
    "import time\n"
    "from unrolled.jobs.journal import Journal\n"
    "plain = Journal.append\n"
    "def append(*arguments, **options):\n"
    "    plain(*arguments, **options)\n"
    "    time.sleep(0.02)\n"
    "Journal.append = append\n"
)
"""A photo takes long enough to be killed at."""


@pytest.fixture
def album(tmp_path, photos):
    """Forty photos at two depths, of which the small captioner's network wants little."""
    folder = tmp_path / "album"
    (folder / "trip").mkdir(parents=True)
    for number in range(40):
        place = folder / ("trip" if number % 2 else "") / f"{number:02}.jpg"
        Image.new("RGB", (16, 12), (number * 6, 90, 255 - number * 6)).save(place)
    return folder


@pytest.fixture
def caption(cli, captioner_folder):
    return lambda *arguments: cli("caption", "--model", captioner_folder, *arguments)


def journalled(path):
    if not path.exists():
        return []
    whole = [line for line in path.read_bytes().split(b"\n")[1:-1] if line]
    return [json.loads(line)["path"] for line in whole]


def test_the_same_command_goes_on_and_says_all_photos_at_the_end(
    caption, album, tmp_path, monkeypatch
):
    pattern, journal = f"{album}/**/*.jpg", tmp_path / "captions.jsonl"
    plain = Captioners.photo_candidates
    asked = []

    def photo_candidates(self, paths, **options):
        for number, captioned in enumerate(plain(self, paths, **options)):
            if len(asked) == 1 and number == 9:
                raise KeyboardInterrupt
            yield captioned

    def counted(self, paths, **options):
        asked.append(1)
        return photo_candidates(self, paths, **options)

    monkeypatch.setattr(Captioners, "photo_candidates", counted)
    stopped = caption(pattern, "--journal", journal, "--csv")
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err == "stopped after 9 of 40 photos; the same command goes on.\n"
    whole = caption(pattern, "--journal", journal, "--csv")
    assert (whole.code, whole.err) == (0, "9 of 40 photos were done before.\n")
    again = caption(pattern, "--journal", journal, "--json")
    assert again.err == "40 of 40 photos were done before.\n"
    assert len(asked) == 2  # nothing was left to be captioned
    texts = [
        [(r["path"], r["caption"]) for r in csv.DictReader(io.StringIO(said.out))]
        for said in (whole, caption(pattern, "--csv"))  # the latter without a journal
    ]
    assert texts[0] == texts[1]
    rows = list(csv.DictReader(io.StringIO(whole.out)))
    assert [r["path"] for r in rows] == [r["path"] for r in json.loads(again.out)]
    assert len(journalled(journal)) == len(set(journalled(journal))) == 40


def test_other_ways_of_captioning_are_refused_in_one_journal(cli, caption, album, tmp_path):
    journal = tmp_path / "captions.jsonl"
    assert caption(album, "--journal", journal).code == 0
    for options, what in (
        (["--beam", "2"], "width 3, now 2"),
        (["--n-best", "2"], "captions 1, now 2"),
        (["--prefix", "a"], "prefix '', now 'a'"),
    ):
        said = caption(album, "--journal", journal, *options)
        assert (said.code, said.out) == (2, "")
        assert f"begun with {what}" in said.err
    other = cli("caption", album, "--journal", journal)
    assert re.search(r"begun with captioner '\w{16}', now '\w{16}'; ", other.err)


@pytest.mark.skipif(os.name == "nt", reason="signals are others there")
def test_killed_again_and_again_nothing_is_captioned_twice_and_nothing_lost(
    cli, captioner_folder, album, tmp_path, cache_of_encoders
):
    """At sampled instants, by a kill that nothing can handle; every photo is whole at all times."""
    journal = tmp_path / "captions.jsonl"
    command = ("caption", "-r", album, "--model", captioner_folder, "--journal", journal)
    writing = ("--sidecar", "--write-metadata", "--json")
    paths = sorted(album.rglob("*.jpg"))
    before = {path: Image.open(path).tobytes() for path in paths}
    kept = []
    for target, how in (
        (2, signal.SIGKILL),
        (17, signal.SIGINT),
        (31, signal.SIGKILL),
    ):
        process = start(*command, *writing, code=SLOWLY + CODE)
        try:
            while len(journalled(journal)) < target or not journal.exists():
                assert process.poll() is None, process.communicate()
                time.sleep(0.003)
            process.send_signal(how)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
        assert process.returncode == (130 if how == signal.SIGINT else -how), err
        assert out == ""
        assert "Traceback" not in err
        assert journalled(journal)[: len(kept)] == kept  # what was done stays done
        kept = journalled(journal)
        assert {path: Image.open(path).tobytes() for path in paths} == before
    assert 31 <= len(kept) < 40
    said = cli(*command, *writing)
    assert said.code == 0, said.err
    assert f"{len(kept)} of 40 photos were done before." in said.err
    done = journalled(journal)
    assert sorted(done) == sorted(map(str, paths))  # each has one line, and no more
    texts = {record["path"]: record["caption"] for record in json.loads(said.out)}
    assert list(texts) == [
        str(p)
        for p in [*sorted(album.glob("*.jpg")), *sorted(album.glob("trip/*"))]
        if p.suffix == ".jpg"
    ]
    for path in paths:
        assert Packet(path.with_name(path.name + ".xmp").read_bytes()).alt_text == texts[str(path)]
        assert Image.open(path).tobytes() == before[path]
        assert texts[str(path)].encode() in path.read_bytes()
    assert len(list(album.rglob(".*.unfinished"))) <= 3  # what a kill leaves of a file


def test_originals_are_untouched_unless_that_is_asked_for(caption, album):
    before = {path: (path.read_bytes(), path.stat()) for path in album.rglob("*.jpg")}
    assert caption("-r", album, "--sidecar").code == 0
    assert {path: (path.read_bytes(), path.stat()) for path in album.rglob("*.jpg")} == before
    assert len(list(album.rglob("*.jpg.xmp"))) == len(before)


def test_alt_texts_of_people_are_left_alone_and_counted(caption, album):
    for number in (0, 4):
        write_photo(str(album / f"{number:02}.jpg"), "Grandmother at the lake")
    said = caption(album, "--write-metadata", "--sidecar")
    assert said.code == 0
    assert said.err == (
        "photos left alone, as they have an alt text: 2; --overwrite replaces it.\n"
    )
    assert b"Grandmother" in (album / "04.jpg").read_bytes()
    assert len(list(album.glob("*.xmp"))) == 18
    said = caption(album, "--write-metadata", "--sidecar", "--overwrite")
    assert (said.code, said.err) == (0, "")
    assert b"Grandmother" not in (album / "04.jpg").read_bytes().partition(b"dc:description")[0]


def test_an_alt_text_that_overwrite_leaves_beside_ours_is_told(caption, album):
    write_photo(str(album / "04.jpg"), "Grandmother at the lake")
    said = caption(album, "--sidecar", "--overwrite")
    assert said.code == 0
    assert said.err == (
        "photos with one alt text inside and another beside them: 1; --overwrite with both "
        "--sidecar and --write-metadata replaces both.\n"
    )
    assert b"Grandmother" in (album / "04.jpg").read_bytes()
    assert (album / "04.jpg.xmp").exists()


def test_a_photo_that_cannot_be_written_to_stops_or_is_told(caption, album, tmp_path):
    sidecar = album / "00.jpg.xmp"
    sidecar.write_text("my novel")
    journal = tmp_path / "j.jsonl"
    said = caption(album, "--sidecar", "--journal", journal)
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines() == [
        f"error: {sidecar}: XMP that is not well-formed (syntax error: line 1, column 0)",
        f"       What was done is in {journal}. Pass --skip-bad to go on with the others.",
    ]
    said = caption(album, "--sidecar", "--journal", journal, "--skip-bad", "--json")
    assert said.code == 0
    assert f"skipped: {sidecar}: XMP" in said.err
    assert len(json.loads(said.out)) == 20
    assert sidecar.read_text() == "my novel"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is closed to root")
def test_places_that_are_read_only_are_said(caption, album):
    album.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        for option in ("--sidecar", "--write-metadata"):
            said = caption(album, option)
            assert (said.code, said.out) == (2, "")
            assert "cannot be written (Permission denied)" in said.err
        assert (
            "cannot be opened (Permission denied)" in caption(album, "--journal", album / "j").err
        )
    finally:
        album.chmod(0o755)


@pytest.mark.parametrize("form", [["--json"], ["--csv"], []])
def test_a_long_answer_is_said_a_piece_at_a_time(cli, form, monkeypatch, captioner_folder, album):
    monkeypatch.setattr("unrolled.cli.caption.ROWS_OF_A_TABLE", 7)
    said = cli("caption", "--model", captioner_folder, "-r", album, *form)
    assert said.code == 0
    assert sum(f"{album}/" in line for line in said.out.splitlines()) == 40


def test_overwrite_alone_is_a_wrong_use(caption, album):
    said = caption(album, "--overwrite")
    assert said.code == 2
    assert "--overwrite goes with --sidecar or --write-metadata" in said.err


def test_help_has_an_example_with_a_journal(capfd):
    assert call_here("caption", "--help") == 0
    assert "--journal captions.jsonl --sidecar" in capfd.readouterr().out
