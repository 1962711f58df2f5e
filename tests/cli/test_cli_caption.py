"""``unrolled caption``: captions out, whatever the photos are called and whatever is in them."""

import csv
import io
import json
import os
import shutil

import numpy as np
import pytest

from commands import CODE, call, call_here
from small_world import SPECIAL
from unrolled.captioner import Captioner, Captioners
from unrolled.data import FeatureStore, tokenize
from unrolled.errors import ImageError

ODD_NAMES = [
    "a b.jpg",
    "日本語 é.jpg",
    "-dash.jpg",
    "new\nline.jpg",
    "esc\x1b[31mape.jpg",
    "[bold]markup[bold].jpg",
    ":smile:.jpg",
    "quote\"comma,'.jpg",
    "%s {x} \\n.jpg",
]


@pytest.fixture
def caption(cli, captioner_folder):
    """Call ``unrolled caption`` with the small captioner."""
    return lambda *arguments: cli("caption", "--model", captioner_folder, *arguments)


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 cut off")
    return path


# What comes out


def test_json_is_an_array_of_path_caption_and_log_prob(caption, photos):
    said = caption(photos, "--json")
    assert (said.code, said.err) == (0, "")
    records = json.loads(said.out)
    assert [record["path"] for record in records] == [str(p) for p in sorted(photos.iterdir())]
    for record in records:
        assert set(record) == {"path", "caption", "log_prob"}
        assert record["caption"]
        assert not [word for word in SPECIAL if word in record["caption"]]
        assert record["log_prob"] < 0


def test_log_prob_is_minus_the_models_loss_of_that_caption(
    caption, photos, captioner_folder, lite_store
):
    captioner = Captioner.load(captioner_folder)
    store = FeatureStore.open(lite_store)
    records = json.loads(caption(photos, "--json").out)
    for record in records:
        name = record["path"].rpartition("/")[2]
        ids = np.array([captioner.vocabulary.encode(tokenize(record["caption"]))], np.int32)
        features = store.pooled[store.index(name)][None]
        loss = float(captioner.model.loss(features, ids).loss)
        assert record["log_prob"] == pytest.approx(-loss, rel=1e-3)
    assert len({record["log_prob"] for record in records}) > 2


def test_csv_has_the_same_in_rows(caption, photos):
    records = json.loads(caption(photos, "--json").out)
    said = caption(photos, "--csv")
    header, *rows = csv.reader(io.StringIO(said.out, newline=""))
    assert header == ["path", "caption", "log_prob"]
    assert [[r["path"], r["caption"], r["log_prob"]] for r in records] == [
        [path, text, float(log_prob)] for path, text, log_prob in rows
    ]


def test_the_table_has_a_line_for_each_photo(caption, photos):
    records = json.loads(caption(photos, "--json").out)
    said = caption(photos)
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    for record in records:
        [line] = [line for line in lines if record["path"] in line]
        assert line.split(record["path"])[1].strip() == record["caption"]
    assert len([line for line in lines if line.strip()]) == len(records) + 2  # heading and rule


def test_a_wider_beam_never_finds_a_less_likely_caption_here(caption, photos):
    greedy = json.loads(caption(photos, "--json", "--beam", 1).out)
    beam = json.loads(caption(photos, "--json", "--beam", 8).out)
    assert [each["path"] for each in greedy] == [each["path"] for each in beam]
    gains = [b["log_prob"] - g["log_prob"] for g, b in zip(greedy, beam, strict=True)]
    assert min(gains) > -1e-4


def test_photos_come_in_the_order_given_and_as_often(caption, photos):
    given = [photos / name for name in ("03_red.jpg", "00_red.jpg", "03_red.jpg")]
    records = json.loads(caption(*given, "--json").out)
    assert [record["path"] for record in records] == [str(path) for path in given]


def test_folders_in_folders_want_r(caption, photos, tmp_path):
    (tmp_path / "album" / "deep").mkdir(parents=True)
    shutil.copy(photos / "00_red.jpg", tmp_path / "album" / "deep")
    said = caption(tmp_path / "album")
    assert said.code == 2
    assert "-r" in said.err
    records = json.loads(caption("-r", tmp_path / "album", "--json").out)
    assert [record["path"] for record in records] == [
        str(tmp_path / "album" / "deep" / "00_red.jpg")
    ]


# Names


@pytest.fixture
def odd_folder(photos, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in ODD_NAMES:
        shutil.copy(photos / "00_red.jpg", folder / name)
    return folder


def test_any_file_name_comes_back_as_it_was(caption, odd_folder):
    expected = sorted(str(odd_folder / name) for name in ODD_NAMES)
    assert sorted(r["path"] for r in json.loads(caption(odd_folder, "--json").out)) == expected
    rows = list(csv.reader(io.StringIO(caption(odd_folder, "--csv").out, newline="")))
    assert sorted(row[0] for row in rows[1:]) == expected


def test_a_table_shows_any_file_name_on_one_line(caption, odd_folder):
    said = caption(odd_folder)
    assert said.code == 0
    assert "\x1b" not in said.out
    for shown in (r"new\nline.jpg", r"esc\x1b[31mape.jpg", "[bold]markup[bold].jpg", ":smile:"):
        assert shown in said.out
    assert "日本語 é.jpg" in said.out
    assert len([line for line in said.out.splitlines() if line.strip()]) == len(ODD_NAMES) + 2


def test_a_name_with_a_leading_dash_goes_after_two(caption, odd_folder, monkeypatch):
    monkeypatch.chdir(odd_folder)
    said = caption("--json", "--", "-dash.jpg")
    assert said.code == 0, said.err
    assert [record["path"] for record in json.loads(said.out)] == ["-dash.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_that_stdout_cannot_say_are_escaped(
    captioner_folder, photos, tmp_path, encoding, monkeypatch
):
    names = [os.fsencode(tmp_path / "é") + b".jpg", os.fsencode(tmp_path) + b"/\xff.jpg"]
    try:
        for name in names:
            shutil.copy(photos / "00_red.jpg", name)
    except OSError:
        pytest.skip("this file system has no names that are not text")
    paths = [os.fsdecode(name) for name in names]
    for form in ("--json", "--csv", "--beam=1"):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
        monkeypatch.setattr("sys.stdout", stdout)
        assert call_here("caption", "--model", captioner_folder, form, *paths) == 0
        said = stdout.buffer.getvalue().decode(encoding)
        if form == "--json":
            assert [record["path"] for record in json.loads(said)] == paths
        else:
            assert r"/\udcff.jpg" in said


# What cannot be read


def test_a_bad_photo_stops_everything_in_the_words_of_the_style(caption, photos, bad):
    for form in (["--json"], ["--csv"], []):
        said = caption(photos / "00_red.jpg", bad, photos / "01_green.jpg", *form)
        assert (said.code, said.out) == (2, "")
        first, second = said.err.splitlines()
        assert first.startswith(f"error: {bad}: not an image that can be read (")
        assert first.endswith(").")
        assert second == ("       Nothing was written. Pass --skip-bad to go on with the others.")


def test_a_bad_photo_is_skipped_where_that_is_asked_for(caption, photos, bad):
    given = [photos / "01_green.jpg", bad, photos / "00_red.jpg"]
    said = caption(*given, "--json", "--skip-bad")
    assert said.code == 0
    assert [r["path"] for r in json.loads(said.out)] == [str(given[0]), str(given[2])]
    [line] = said.err.splitlines()
    assert line.startswith(f"skipped: {bad}: not an image that can be read (")


@pytest.mark.parametrize("form", [["--json"], ["--csv"], []])
def test_nothing_but_bad_photos_is_an_error(caption, bad, form):
    said = caption(bad, "--skip-bad", *form)
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines()[0].startswith(f"skipped: {bad}")
    assert said.err.splitlines()[1] == "error: no photo can be read; nothing was written"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (b"", "empty file"),
        (b"no photo at all", "no image format known here"),
        (b"GIF89a", "GIF"),
        (b"%PDF-1.4", "no image format known here"),
    ],
)
def test_what_is_no_photo_is_said(caption, tmp_path, made, reason):
    path = tmp_path / "odd.jpg"
    path.write_bytes(made)
    said = caption(path)
    assert (said.code, said.out) == (2, "")
    assert reason in said.err


def test_a_truncated_photo_is_said_with_its_bytes(caption, photos, tmp_path):
    whole = (photos / "00_red.jpg").read_bytes()
    path = tmp_path / "holiday.jpg"
    path.write_bytes(whole[:-200])
    said = caption(path)
    assert said.code == 2
    expected = (
        f"holiday.jpg: not an image that can be read (truncated JPEG after {len(whole) - 200:,}"
    )
    assert expected in said.err


def test_paths_that_lead_nowhere_are_said(caption, photos, tmp_path):
    for path, reason in (
        (tmp_path / "gone.jpg", "there is no such file or folder"),
        (tmp_path / ("x" * 300), "cannot be read"),
        (tmp_path, "no photos in this folder"),
    ):
        said = caption(photos / "00_red.jpg", path)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(f"error: {path}: {reason}")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    said = caption(tmp_path)
    assert said.code == 2
    assert "link.jpg" in said.err


def test_no_photos_given_is_a_wrong_use(caption):
    said = caption()
    assert (said.code, said.out) == (2, "")
    assert "photos" in said.err


def test_json_and_csv_are_not_both_to_be_had(caption, photos):
    said = caption(photos, "--json", "--csv")
    assert (said.code, said.out) == (2, "")
    assert "choose one of --json and --csv" in said.err


def test_a_beam_that_cannot_be_is_refused(caption, photos):
    for width in (0, -1, 101):
        said = caption(photos, "--beam", width)
        assert (said.code, said.out) == (2, "")
        assert "width must be a whole number from 1 to 100" in said.err


# Models


def test_a_model_that_is_none_is_refused_by_name(cli, photos, tmp_path, captioner_folder):
    damaged = tmp_path / "damaged"
    shutil.copytree(captioner_folder, damaged)
    weights = bytearray((damaged / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (damaged / "model.safetensors").write_bytes(weights)
    for model, reason in (
        (tmp_path / "gone", "no such folder"),
        (tmp_path, "SHA256SUMS: missing"),
        (damaged, "model.safetensors: damaged"),
    ):
        said = cli("caption", photos, "--model", model)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith("error: ")
        assert str(model) in said.err
        assert reason in said.err


def test_a_model_of_an_encoder_we_have_not_is_refused(cli, photos, run_folder):
    said = cli("caption", photos, "--model", run_folder / "best")
    assert (said.code, said.out) == (2, "")
    assert "made-up" in said.err


# Stopped


def interrupted(monkeypatch, after):
    """Let Ctrl-C come after so many captions."""
    plain = Captioners.photo_candidates

    def photo_candidates(self, paths, **options):
        for number, captioned in enumerate(plain(self, paths, **options)):
            if number == after:
                raise KeyboardInterrupt
            yield captioned

    monkeypatch.setattr(Captioners, "photo_candidates", photo_candidates)


@pytest.mark.parametrize("after", [0, 3])
def test_ctrl_c_prints_what_was_done(caption, photos, monkeypatch, after):
    whole = json.loads(caption(photos, "--json").out)
    interrupted(monkeypatch, after)
    said = caption(photos, "--json")
    assert said.code == 130
    assert json.loads(said.out) == whole[:after]
    assert said.err == f"stopped after {after} of 14 photos; their captions are above.\n"


def test_ctrl_c_prints_what_was_skipped(caption, photos, bad, monkeypatch):
    interrupted(monkeypatch, 1)
    said = caption(bad, photos, "--json", "--skip-bad")
    assert said.code == 130
    assert len(json.loads(said.out)) == 1
    assert "skipped: " in said.err


@pytest.mark.parametrize(
    "error", [ImageError("made.jpg: no"), MemoryError("so big"), OSError(5, "no")]
)
def test_no_error_is_a_traceback(caption, photos, monkeypatch, error):
    def photo_candidates(*_arguments, **_options):
        raise error

    monkeypatch.setattr(Captioners, "photo_candidates", photo_candidates)
    said = caption(photos)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err


def test_a_real_ctrl_c_ends_in_peace(captioner_folder, photos):
    """At any time after the command has begun, in a process of its own."""
    code = "import os, signal\nfrom unrolled.captioner import Captioner\nplain = Captioner.load\n"
    code += "def load(path):\n os.kill(os.getpid(), signal.SIGINT)\n return plain(path)\n"
    code += f"Captioner.load = load\n{CODE}"
    done = call("caption", photos, "--model", captioner_folder, code=code)
    assert (done.code, done.out) == (130, "")
    assert "Traceback" not in done.err
