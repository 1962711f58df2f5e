"""A training run goes on in its folder, to the same bits as one that was never stopped."""

import pytest
from training_runs import assert_same_run, of_kind, run_until

from commands import files
from small_world import ENCODER, write_flickr8k, write_store
from unrolled.captioner import Captioner
from unrolled.errors import InputError
from unrolled.jobs.config import RunConfig
from unrolled.jobs.run_folder import saved_config
from unrolled.jobs.train import Started, train_run
from unrolled.training import Finished, StepDone


@pytest.fixture
def whole(config, tmp_path):
    """A run of three epochs that was never stopped."""
    list(train_run(config(), tmp_path / "whole"))
    return tmp_path / "whole"


@pytest.mark.parametrize("stops", [(0,), (1,), (4,), (6,), (12,), (3, 6), (5, 6, 8)], ids=str)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(config, whole, tmp_path, stops):
    out = tmp_path / "run"
    for number, step in enumerate(stops):
        *_, last = run_until(step, config(), out, resume=number > 0)
        assert (last.reason, last.step) == ("interrupted", step)
    list(train_run(config(), out, resume=True))
    assert_same_run(out, whole)


def test_a_run_that_was_dropped_anywhere_goes_on_bit_for_bit(config, whole, tmp_path):
    """As a kill does, between any two events: what was not saved is done again."""
    settings = config(save_every_steps=3)
    events = len(list(train_run(settings, tmp_path / "all")))
    for number, count in enumerate(range(2, events, 3)):
        out = tmp_path / f"run {number}"
        dropped = train_run(settings, out)
        for _ in range(count):
            next(dropped)
        dropped.close()
        list(train_run(settings, out, resume=True))
        for kind in ("best", "last"):
            assert (out / kind / "model.safetensors").read_bytes() == (
                whole / kind / "model.safetensors"
            ).read_bytes(), (kind, count)


def test_what_auto_resolved_to_is_kept_where_it_would_resolve_to_another(
    config, tmp_path, monkeypatch
):
    """As when a run goes on with other kernels: the first ones' choice is the run's."""
    settings = config(model={"precision": "auto"})
    monkeypatch.setattr("unrolled.jobs.train.choose_precision", lambda *_: "bfloat16")
    for events in (
        list(train_run(settings, tmp_path / "whole")),
        run_until(5, settings, tmp_path / "run"),
    ):
        assert of_kind(Started, events)[0].precision == "bfloat16"
    monkeypatch.setattr("unrolled.jobs.train.choose_precision", lambda *_: "float32")
    assert saved_config(tmp_path / "run")["model"]["precision"] == "bfloat16"
    for each in (settings, RunConfig.from_sections(saved_config(tmp_path / "run"), "saved")):
        events = run_until(9, each, tmp_path / "run", resume=True)
        assert of_kind(Started, events)[0].precision == "bfloat16"
    list(train_run(settings, tmp_path / "run", resume=True))
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert Captioner.load(tmp_path / "run" / "last").model.config["precision"] == "bfloat16"
    with pytest.raises(InputError, match="precision was 'bfloat16', is 'float32'"):
        list(train_run(config(model={"precision": "float32"}), tmp_path / "run", resume=True))


def test_a_finished_run_is_done(config, whole, tmp_path):
    before = files(whole)
    events = list(train_run(config(), whole, resume=True))
    assert not of_kind(StepDone, events)
    assert events[-1] == Finished("completed", 3, 12)
    after = files(whole)
    log = after.pop("log.jsonl")
    assert log.startswith(before.pop("log.jsonl"))
    assert after == before


CHANGES = {
    "hidden_dim": {"model": {"hidden_dim": 9}},
    "cell_type": {"model": {"cell_type": "rnn"}},
    "dropout": {"model": {"dropout": 0.4}},
    "min_count": {"data": {"min_count": 2}},
    "max_words": {"data": {"max_words": 5}},
    "encoder": {"data": {"encoder": "lite1"}},
    "learning_rate": {"learning_rate": 0.01},
    "seed": {"seed": 7},
    "rule": {"rule": "sgd"},
    "epochs": {"epochs": 5},
    "best_by": {"best_by": "val_loss"},
}


@pytest.mark.parametrize(("name", "change"), CHANGES.items(), ids=CHANGES)
def test_a_changed_setting_is_refused_by_name(config, whole, name, change):
    was = next(
        getattr(section, name)
        for section in (config().model, config().data, config().training)
        if hasattr(section, name)
    )
    before = files(whole)
    with pytest.raises(InputError, match=rf"{name} was {was!r}, is .*Undo the change"):
        list(train_run(config(**change), whole, resume=True))
    assert files(whole) == before


def test_every_change_is_named_at_once(config, whole):
    with pytest.raises(InputError, match=r"hidden_dim was 8, is 9; min_count was 1, is 2"):
        list(train_run(config(model={"hidden_dim": 9}, data={"min_count": 2}), whole, resume=True))


def test_features_of_another_encoder_are_refused(config, whole, tmp_path):
    other = write_store(tmp_path / "other.st", {**ENCODER, "weights_sha256": "new"})
    with pytest.raises(InputError, match=r"the features were made by .*'none'.*, are by .*'new'"):
        list(train_run(config(data={"features": str(other)}), whole, resume=True))


def test_other_data_are_refused(config, whole, tmp_path):
    data = write_flickr8k(tmp_path / "f8k")
    names = (data / "Flickr_8k.trainImages.txt").read_text().splitlines()
    (data / "Flickr_8k.trainImages.txt").write_text("\n".join(names[:5]))
    with pytest.raises(InputError, match="the captions or photos of train have changed"):
        list(train_run(config(data={"path": str(data)}), whole, resume=True))


def test_data_may_move_and_their_new_place_is_remembered(config, whole, tmp_path):
    out = tmp_path / "run"
    run_until(2, config(), out)
    data = write_flickr8k(tmp_path / "moved" / "data")
    store = write_store(tmp_path / "moved" / "f.st")
    moved = config(data={"path": str(data), "features": str(store)})
    run_until(6, moved, out, resume=True)
    again = RunConfig.from_sections(saved_config(out), "card")
    assert (again.data.path, again.data.features) == (str(data), str(store))
    list(train_run(again, out, resume=True))
    assert_same_run(out, whole)


def test_the_folder_of_a_run_may_move(config, whole, tmp_path):
    run_until(7, config(), tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    list(train_run(config(), tmp_path / "elsewhere", resume=True))
    assert_same_run(tmp_path / "elsewhere", whole)


def test_what_decides_no_weights_may_change(config, tmp_path):
    out = tmp_path / "run"
    list(train_run(config(schedule="constant", epochs=2), out, command="first"))
    longer = config(schedule="constant", epochs=3, patience=9, decoding={"width": 5})
    list(train_run(longer, out, resume=True, command="second"))
    captioner = Captioner.load(out / "last")
    assert captioner.decoding.width == 5
    assert captioner.card["command"] == "first"
    assert RunConfig.from_sections(captioner.card["run"], "card") == longer
    list(train_run(config(schedule="constant", epochs=3), tmp_path / "at once"))
    assert (out / "last" / "model.safetensors").read_bytes() == (
        tmp_path / "at once" / "last" / "model.safetensors"
    ).read_bytes()
