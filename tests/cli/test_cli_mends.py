"""Commands go on where they can, say early what cannot be, and print what people and JSON take."""

import json
import math
import shutil

import pytest

from commands import call_here
from small_world import FLAGS, read_events
from unrolled.captioner import Caption, Captioner
from unrolled.cli.console import on_one_line, print_json, say
from unrolled.errors import MissingExtraError


def caption_json(cli, folder, *arguments):
    said = cli("caption", "--model", folder, "--json", *arguments)
    assert said.code == 0, said.err
    return json.loads(said.out), said.err.splitlines()


# caption


def test_skip_bad_also_skips_paths_that_lead_nowhere(cli, captioner_folder, photos, tmp_path):
    (tmp_path / "empty").mkdir()
    good = photos / "00_red.jpg"
    records, told = caption_json(
        cli, captioner_folder, "--skip-bad", tmp_path / "gone.jpg", good, tmp_path / "empty"
    )
    assert [record["path"] for record in records] == [str(good)]
    assert told[0] == f"skipped: {tmp_path / 'gone.jpg'}: there is no such file or folder"
    assert told[1].startswith(f"skipped: {tmp_path / 'empty'}: no photos in this folder")
    said = cli("caption", "--model", captioner_folder, "--skip-bad", tmp_path / "gone.jpg")
    assert (said.code, said.out) == (2, "")
    assert said.err.endswith("error: no photo can be read; nothing was written\n")


def test_paths_come_back_to_the_letter(cli, captioner_folder, photos, tmp_path, monkeypatch):
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(photos / "00_red.jpg", tmp_path / name)
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    (tmp_path / "folder").mkdir()
    shutil.copy(photos / "01_green.jpg", tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    given = ["./a.jpg", "bad.jpg", "a.jpg", "folder/../b.jpg", "./folder/", ".//a.jpg", "bad.jpg"]
    records, told = caption_json(cli, captioner_folder, "--skip-bad", *given)
    paths = [record["path"] for record in records]
    wanted = ["./a.jpg", "a.jpg", "folder/../b.jpg", "./folder/01_green.jpg", ".//a.jpg"]
    assert paths == wanted
    assert records[0]["caption"] == records[1]["caption"] == records[4]["caption"]
    assert len(told) == 1  # a photo that was named twice is one
    said = cli("caption", "--model", captioner_folder, "--csv", "--skip-bad", *given)
    assert [line.split(",")[0] for line in said.out.splitlines()[1:]] == wanted


# What is printed


def test_json_never_holds_what_is_not_json(capfd):
    print_json({"a": math.nan, "b": [math.inf, 1.5, {"c": -math.inf}], "d": (math.nan,)})
    said = json.loads(capfd.readouterr().out, parse_constant=pytest.fail)
    assert said == {"a": None, "b": [None, 1.5, {"c": None}], "d": [None]}


def test_a_caption_of_no_probability_is_null(cli, captioner_folder, photos, monkeypatch):
    monkeypatch.setattr(
        "unrolled.captioner.Decoding.find",
        lambda _self, _speaker, features, *_: [[Caption("a dog", math.nan)]] * len(features),
    )
    records, _ = caption_json(cli, captioner_folder, photos / "00_red.jpg")
    assert records[0]["log_prob"] is None


def test_nothing_that_a_terminal_would_act_on_is_said(capfd):
    say("first\nsecond: \x1b[31mred\r\x07\udcff.jpg é日")
    assert capfd.readouterr().err == "first\nsecond: \\x1b[31mred\\r\\x07\\udcff.jpg é日\n"
    assert on_one_line("a\nb") == r"a\nb"


def test_errors_and_cards_are_escaped(cli, run_folder, tmp_path):
    said = cli("caption", tmp_path / "esc\x1b[31m.jpg")
    assert (said.code, "\x1b" in said.err) == (2, False)
    assert r"esc\x1b[31m.jpg: there is no such file" in said.err
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"limits\x1b": "none\x1b]0;title\x07", "more": {"\x07": "\n"}}))
    assert cli("export", run_folder / "best", "--out", tmp_path / "out", "--card", card).code == 0
    said = cli("info", tmp_path / "out")
    assert said.code == 0
    assert not {"\x1b", "\x07"} & set(said.out)
    assert r"none\x1b]0;title\x07" in said.out


# evaluate


def test_a_file_that_cannot_be_written_is_said_before_the_work(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(Captioner, "load", lambda _path: pytest.fail("the work has begun"))
    for out, message in ((tmp_path / "no" / "c.json", "no folder"), (tmp_path, "a folder")):
        said = cli("evaluate", "default", "--data", tmp_path, "--out", out)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(f"error: {out}: ")
        assert message in said.err


def test_scores_are_printed_even_if_the_captions_cannot_be_written(
    cli, captioner_folder, flickr8k, lite_store, tmp_path, monkeypatch
):
    def fail(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fail)
    source = ("--data", flickr8k, "--features", lite_store, "--json")
    said = cli("evaluate", captioner_folder, *source, "--out", tmp_path / "c.json")
    assert said.code == 2
    assert json.loads(said.out)["photos"] == 3
    assert "c.json: cannot be written (No space left on device)" in said.err


def test_what_is_not_installed_is_said_before_photos_are_encoded(
    cli, captioner_folder, flickr8k, monkeypatch
):
    def missing(*_arguments, **_options):
        raise MissingExtraError("metrics: METEOR needs Java")

    monkeypatch.setattr("unrolled.jobs.evaluate.score", missing)
    monkeypatch.setattr(
        "unrolled.captioner.seeing.Encoder.from_identity", lambda *_a, **_o: pytest.fail("encoded")
    )
    said = cli("evaluate", captioner_folder, "--data", flickr8k)
    assert (said.code, said.err) == (2, "error: metrics: METEOR needs Java\n")


# train and export


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--cell", "esn"], "cell_type must be one of rnn, lstm,"),
        (["--dropout", "1"], "dropout must be a number in [0, 1), got 1.0"),
        (["--dropout", "nan"], "dropout must be a number in [0, 1), got nan"),
        (["--hidden-dim", "0"], "hidden_dim must be an integer, 1 or more, got 0"),
        (["--wordvec-dim", "-3"], "wordvec_dim must be an integer, 1 or more, got -3"),
        (["--min-count", "0"], "min_count must be at least 1, got 0"),
    ],
)
def test_a_setting_that_cannot_be_is_said_before_the_data_are_read(cli, tmp_path, flags, message):
    said = cli("train", "--data", tmp_path / "gone", "--out", tmp_path / "run", *flags)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert not (tmp_path / "run").exists()


def train(cli, flickr8k, store, out, toml):
    recipe = out.with_suffix(".toml")
    recipe.write_text(toml)
    source = ("--data", flickr8k, "--features", store, "--config", recipe, *FLAGS)
    return cli("train", *source, "--patience", 1, "--out", out)


def test_an_early_stop_is_told_in_the_words_of_the_score(
    cli, flickr8k, store, tmp_path, monkeypatch
):
    monkeypatch.setattr("unrolled.jobs.scoring.validation_loss", lambda *_arguments: 1.0)
    said = train(cli, flickr8k, store, tmp_path / "run", '[training]\nbest_by = "val_loss"')
    assert said.code == 0, said.err
    assert "stopped early: val_loss got no better in an epoch." in said.err
    assert f"the best captioner (epoch 1) is in {tmp_path / 'run' / 'best'}; try: " in said.err


def test_where_no_epoch_is_the_best_the_latest_is_named(
    cli, flickr8k, store, tmp_path, monkeypatch
):
    monkeypatch.setattr("unrolled.jobs.scoring.validation_loss", lambda *_arguments: math.inf)
    said = train(cli, flickr8k, store, tmp_path / "run", '[training]\nbest_by = "val_loss"')
    assert said.code == 0, said.err
    last = said.err.splitlines()[-1]
    assert last.startswith("val_loss was no number in any epoch; the latest is in ")
    assert last.endswith(f"unrolled info {tmp_path / 'run' / 'last'}")


def test_curves_that_are_a_folder_do_not_end_a_run(flickr8k, store, tmp_path, capfd):
    (tmp_path / "run" / "curves.png").mkdir(parents=True)
    source = ("--data", flickr8k, "--features", store)
    assert call_here("train", *source, "--out", tmp_path / "run", *FLAGS, draw=True) == 0
    assert capfd.readouterr().err.count("note: the curves were not drawn") == 1
    assert read_events(tmp_path / "run")[-1]["event"] == "finished"


def test_an_exported_card_tells_no_places(cli, run_folder, tmp_path):
    assert cli("export", run_folder / "best", "--out", tmp_path / "out").code == 0
    before, after = (Captioner.load(path).card for path in (run_folder / "best", tmp_path / "out"))
    assert "/" in before["run"]["data"]["path"]
    data = after["run"]["data"]
    assert (data["path"], data["features"]) == ("flickr8k", "made-up.safetensors")
    assert after["command"] == before["command"]
    rest = {key: value for key, value in after.items() if key != "run"}
    assert rest == {key: value for key, value in before.items() if key != "run"}
    assert after["run"]["training"] == before["run"]["training"]
