"""``unrolled train``: flags over a TOML file over defaults, and a folder with all of a run."""

import json
import os
import signal

import pytest
from PIL import Image

from commands import call_here, files
from small_world import FLAGS, read_events, write_flickr8k, write_folder, write_store
from unrolled.captioner import Captioner
from unrolled.jobs.config import RunConfig
from unrolled.vision import Encoder


@pytest.fixture
def train(cli, flickr8k, store, tmp_path):
    """Call ``unrolled train`` on the small world, into tmp_path/run."""
    known = ("--data", flickr8k, "--features", store, "--out", tmp_path / "run")
    return lambda *arguments: cli("train", *known, *arguments)


def settings_of(run):
    return RunConfig.from_sections(Captioner.load(run / "last").card["run"], "card")


def test_a_run_says_how_it_goes_and_where_it_is(train, tmp_path):
    said = train(*FLAGS)
    assert (said.code, said.out) == (0, "")
    lines = said.err.splitlines()
    assert lines[0].endswith(" parameters, 15 words, 4 steps an epoch, float32")
    epochs = [line for line in lines if line.startswith("epoch ")]
    assert len(epochs) == 3
    for number, line in enumerate(epochs, start=1):
        assert line.startswith(f"epoch {number}: train_loss ")
        assert "val_loss" in line
        assert "CIDEr" in line
    assert epochs[0].endswith("  best")
    out = tmp_path / "run" / "best"
    assert lines[-1].endswith(f"is in {out}; try: unrolled info {out}")


def test_its_curves_are_a_picture(flickr8k, store, tmp_path):
    source = ("--data", flickr8k, "--features", store)
    flags = (*FLAGS, "--epochs", 1)
    assert call_here("train", *source, "--out", tmp_path / "run", *flags, draw=True) == 0
    with Image.open(tmp_path / "run" / "curves.png") as curves:
        curves.load()
        assert (curves.format, curves.width) == ("PNG", 1000)
        assert len(curves.convert("RGB").getcolors(1 << 20)) > 3
    assert not list((tmp_path / "run").glob(".*"))


def test_flags_decide(train, flickr8k, store, tmp_path):
    flags = {
        "--encoder": ("data", "encoder", "lite1"),
        "--min-count": ("data", "min_count", 2),
        "--format": ("data", "format", "flickr8k"),
        "--cell": ("model", "cell_type", "rnn"),
        "--wordvec-dim": ("model", "wordvec_dim", 5),
        "--hidden-dim": ("model", "hidden_dim", 6),
        "--dropout": ("model", "dropout", 0.25),
        "--precision": ("model", "precision", "bfloat16"),
        "--epochs": ("training", "epochs", 1),
        "--batch-size": ("training", "batch_size", 16),
        "--rule": ("training", "rule", "rmsprop"),
        "--learning-rate": ("training", "learning_rate", 0.002),
        "--schedule": ("training", "schedule", "linear"),
        "--warmup-steps": ("training", "warmup_steps", 1),
        "--clip-norm": ("training", "clip_norm", 2.5),
        "--weight-decay": ("training", "weight_decay", 0.125),
        "--patience": ("training", "patience", 3),
        "--label-smoothing": ("training", "label_smoothing", 0.1),
        "--scheduled-sampling": ("training", "scheduled_sampling", 0.5),
        "--ema-decay": ("training", "ema_decay", 0.75),
        "--seed": ("training", "seed", 11),
    }
    given = [str(word) for flag, (*_, value) in flags.items() for word in (flag, value)]
    said = train(*given)
    assert said.code == 0, said.err
    run = settings_of(tmp_path / "run").to_sections()
    for flag, (section, key, value) in flags.items():
        assert run[section][key] == value, flag
    assert run["data"]["path"] == str(flickr8k)
    assert run["data"]["features"] == str(store)
    expected = RunConfig().to_sections()
    for section, key, value in flags.values():
        expected[section][key] = value
    expected["data"] |= {"path": str(flickr8k), "features": str(store)}
    assert run == expected


def test_a_toml_file_decides_where_flags_do_not(cli, flickr8k, store, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f"""
        [data]
        path = '{flickr8k}'
        features = '{store}'
        min_count = 1
        [model]
        hidden_dim = 7
        wordvec_dim = 9
        [training]
        epochs = 2
        learning_rate = 1
        batch_size = 8
        beta2 = 0.9
        [decoding]
        width = 2
        """
    )
    out = tmp_path / "run"
    said = cli("train", "--config", recipe, "--out", out, "--epochs", 1, "--hidden-dim", 5)
    assert said.code == 0, said.err
    run = settings_of(out)
    assert (run.model.hidden_dim, run.model.wordvec_dim, run.model.cell_type) == (5, 9, "lstm")
    assert (run.training.epochs, run.training.learning_rate, run.training.beta2) == (1, 1.0, 0.9)
    assert (run.training.batch_size, run.decoding.width) == (8, 2)
    assert Captioner.load(out / "best").decoding.width == 2


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[trainig]\nepochs = 1", "section 'trainig' is unknown; did you mean training?"),
        ("[training]\nepoch = 1", "[training]: key 'epoch' is unknown; did you mean epochs?"),
        ("[training]\nepochs = 'ten'", "[training]: epochs must be a whole number, got 'ten'"),
        ("[training]\nepochs = 1.5", "epochs must be a whole number, got 1.5"),
        ("[training]\nlearning_rate = true", "learning_rate must be a number, got True"),
        ("[training]\nlearning_rate = nan", "learning_rate must be a finite number, got nan"),
        ("[training]\nlearning_rate = -1", "learning_rate must be above 0, got -1.0"),
        ("[training]\nrule = 'adm'", "rule must be one of adam"),
        ("[training]\nbest_by = 'METEOR'", "best_by must be one of val_loss, CIDEr, BLEU-4"),
        ("[training]\nseed = -1", "seed must be at least 0, got -1"),
        ("[model]\ncell_type = 'none'", "cell_type must be one of rnn, lstm,"),
        ("[model]\ndropout = 1.0", "dropout must be a number in [0, 1), got 1.0"),
        ("[model]\nhidden_dim = 0", "hidden_dim must be an integer, 1 or more, got 0"),
        ("[model]\nhidden_dim = 1000000000000", "not enough memory"),
        ("[model]\ntie_weights = true\nwordvec_dim = 3", "tie_weights needs wordvec_dim equal"),
        ("[data]\nformat = 3", "[data]: format must be a text, got 3"),
        ("[data]\nmax_words = 0", "at least 1, got 0"),
        ("[decoding]\nwidth = 0", "width must be a whole number from 1 to 100, got 0"),
        ("epochs = 1", "epochs stands outside a section such as [training]"),
        ("[[training]]\nepochs = 1", "training stands outside a section"),
        ("[training", "not TOML"),
    ],
    ids=lambda text: text.replace("\n", " ")[:40],
)
def test_a_toml_file_that_cannot_be_is_refused(train, tmp_path, toml, message):
    (tmp_path / "recipe.toml").write_text(toml)
    said = train("--config", tmp_path / "recipe.toml")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert message in said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "run" / "best").exists()


def test_a_toml_file_that_is_not_there_is_refused(train, tmp_path):
    said = train("--config", tmp_path / "gone.toml")
    assert said.code == 2
    assert "gone.toml: cannot be read" in said.err


def test_a_file_that_is_named_in_an_error_is_the_one(train, tmp_path):
    (tmp_path / "recipe.toml").write_text("[model]\nhidden = 3")
    said = train("--config", tmp_path / "recipe.toml")
    assert f"error: {tmp_path / 'recipe.toml'} and flags: [model]: key 'hidden'" in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "{tmp}/gone"], "no such file or folder"),
        (["--features", "{tmp}/gone"], "no such feature store"),
        (["--photos", "{tmp}/gone"], "no such folder of photos"),
        (["--format", "csv"], "unknown caption format 'csv'"),
        (["--rule", "adm"], "rule must be one of"),
        (["--hidden-dim", "0"], "hidden_dim must be"),
        (["--out", "{data}/Flickr8k.token.txt"], "the run's folder cannot be made"),
        (["--resume"], "there is no run to go on with; start one without --resume"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_is_refused(train, flickr8k, tmp_path, arguments, message):
    said = train(*(each.format(tmp=tmp_path, data=flickr8k) for each in arguments))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    assert message in said.err


def test_without_data_there_is_nothing_to_train_on(cli, tmp_path):
    said = cli("train", "--out", tmp_path / "run")
    assert said.code == 2
    assert "say where the captions are, with --data or in the TOML file" in said.err


def test_a_run_is_not_overwritten(train, tmp_path):
    assert train(*FLAGS, "--epochs", 1).code == 0
    before = files(tmp_path / "run")
    said = train(*FLAGS, "--epochs", 1)
    assert (said.code, said.out) == (2, "")
    assert "holds a training run already; go on with --resume" in said.err
    assert files(tmp_path / "run") == before


def test_going_on_needs_no_settings_and_takes_none_that_decide(train, cli, tmp_path):
    out = tmp_path / "run"
    assert train(*FLAGS, "--epochs", 1, "--schedule", "constant").code == 0
    weights = (out / "last" / "model.safetensors").read_bytes()
    said = cli("train", "--out", out, "--resume")
    assert said.code == 0, said.err
    assert "going on after step 4" in said.err
    assert (out / "last" / "model.safetensors").read_bytes() == weights
    for flags, changed in (
        (["--seed", 9], "seed was 0, is 9"),
        (["--hidden-dim", 9], "hidden_dim was 8, is 9"),
        (["--min-count", 3], "min_count was 1, is 3"),
        (["--learning-rate", 1], "learning_rate was 0.05, is 1.0"),
    ):
        said = cli("train", "--out", out, "--resume", *flags)
        assert (said.code, said.out) == (2, "")
        assert changed in said.err
        assert (out / "last" / "model.safetensors").read_bytes() == weights
    said = cli("train", "--out", out, "--resume", "--epochs", 2)
    assert said.code == 0, said.err
    assert read_events(out)[-1] == {
        "event": "finished",
        "reason": "completed",
        "epoch": 2,
        "step": 8,
    }
    assert cli("train", "--out", out, "--resume").code == 0
    assert settings_of(out).training.epochs == 2


def test_data_may_move(cli, tmp_path):
    data, store = write_flickr8k(tmp_path / "a" / "f8k"), write_store(tmp_path / "a" / "f.st")
    out = tmp_path / "run"
    assert cli("train", "--data", data, "--features", store, "--out", out, *FLAGS).code == 0
    (tmp_path / "a").rename(tmp_path / "b")
    said = cli("train", "--out", out, "--resume")
    assert (said.code, said.err) == (2, f"error: {data}: no such file or folder\n")
    moved = ("--data", tmp_path / "b" / "f8k", "--features", tmp_path / "b" / "f.st")
    assert cli("train", "--out", out, "--resume", *moved).code == 0


def test_the_command_in_the_card_is_what_a_shell_takes(train, tmp_path):
    assert train(*FLAGS, "--epochs", 1, "--out", tmp_path / "my run").code == 0
    command = Captioner.load(tmp_path / "my run" / "best").card["command"]
    assert command.startswith("unrolled train --data ")
    assert f"--out '{tmp_path / 'my run'}'" in command


def test_photos_and_texts_in_a_folder_are_enough(cli, tmp_path, cache_of_encoders):
    album = write_folder(tmp_path / "my album")
    said = cli("train", "--data", album, "--out", tmp_path / "run", *FLAGS, "--epochs", 1)
    assert said.code == 0, said.err
    assert "note: splits are drawn by a hash of the photo names" in said.err
    photo = next(album.glob("*.jpg"))
    said = cli("caption", photo, "--model", tmp_path / "run" / "best", "--json")
    assert [each["path"] for each in json.loads(said.out)] == [str(photo)]


def test_a_bad_photo_in_the_data_is_named_and_left_out(cli, tmp_path, cache_of_encoders):
    data = write_flickr8k(tmp_path / "f8k")
    (data / "Flicker8k_Dataset" / "03_red.jpg").write_bytes(b"no photo")
    said = cli("train", "--data", data, "--out", tmp_path / "run", *FLAGS)
    assert (said.code, said.out) == (0, "")
    assert "skipped: " in said.err
    assert "03_red.jpg: not an image that can be read" in said.err
    assert "note: 1 of 8 photos of train are left out" in said.err


def test_ctrl_c_while_photos_are_encoded_stops_at_once(
    cli, flickr8k, tmp_path, monkeypatch, cache_of_encoders
):
    plain = Encoder.features

    def features(self, paths, **options):
        paths = list(paths)
        for number, photo in enumerate(plain(self, paths, **options)):
            if number == 2 and len(paths) == 11:
                os.kill(os.getpid(), signal.SIGINT)
            yield photo

    monkeypatch.setattr(Encoder, "features", features)
    flags = ("--data", flickr8k, "--out", tmp_path / "run", *FLAGS, "--epochs", 1)
    said = cli("train", *flags)
    assert said.code == 130
    assert said.err.endswith("stopped at once. The same command goes on from here.\n")
    assert cli("train", *flags).code == 0
    assert (tmp_path / "run" / "features.safetensors").exists()


def test_a_second_run_begins_with_the_first_ones_captioner(train, run_folder, tmp_path):
    recipe = tmp_path / "second.toml"
    recipe.write_text('[training]\nobjective = "self-critical"\nbatch_size = 4\nepochs = 1\n')
    said = train("--config", recipe, "--start", run_folder / "best")
    assert said.code == 0, said.err
    assert "train_reward" in said.err
    first, second = settings_of(run_folder).to_sections(), settings_of(tmp_path / "run")
    assert second.training.start == str(run_folder / "best")
    # The model is the first run's, whatever its flags were.
    sizes = ("cell_type", "wordvec_dim", "hidden_dim", "dropout")
    assert {n: getattr(second.model, n) for n in sizes} == {n: first["model"][n] for n in sizes}
    steps = [each for each in read_events(tmp_path / "run") if each["event"] == "step"]
    assert all("reward" in step for step in steps)


def test_a_start_that_does_not_fit_is_said_in_words(train, run_folder, tmp_path):
    said = train("--start", run_folder / "best", "--hidden-dim", 9)
    assert said.code == 2
    assert "hidden_dim is 8 there and 9 here" in said.err
    missing = train("--start", tmp_path / "nothing")
    assert missing.code != 0
    assert missing.err.startswith(f"error: {tmp_path / 'nothing'}")
    assert "Traceback" not in said.err + missing.err
