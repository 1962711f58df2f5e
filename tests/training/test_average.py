"""The moving average of the weights: its equation, and that it is what is scored and saved."""

from __future__ import annotations

import numpy as np
from test_loop import FlatModel, run
from tiny_run import SETTINGS, all_bytes, make_batches, make_model, make_save, make_score

from unrolled import checkpoint
from unrolled.captioner import Captioner
from unrolled.training import StepDone, TrainingConfig, train


def test_the_average_is_its_equation():
    """With SGD at rate 1 and gradient 1, the weight after step s is -s."""
    model, seen = FlatModel(), []
    settings = {"learning_rate": 1.0, "momentum": 0.0, "clip_norm": 0, "epochs": 4}
    events = run(model, ema_decay=0.4, **settings)
    for event in events:
        if isinstance(event, StepDone):
            seen.append(float(model.params["W"][0, 0]))
    mean, expected = 0.0, []
    for s in range(1, 9):
        decay = min(0.4, (1 + s) / (10 + s))
        mean = decay * mean + (1 - decay) * -s
        expected.append(mean)
    np.testing.assert_allclose(seen, expected, rtol=1e-12)


def test_the_average_is_scored_saved_and_not_what_is_trained(tmp_path):
    plain, averaged = make_model(), make_model()
    config = TrainingConfig(**SETTINGS)
    told = [
        [
            event.loss
            for event in train(
                model,
                make_batches(),
                TrainingConfig(**SETTINGS, ema_decay=decay),
                score=make_score(model),
                save=make_save(model, tmp_path / name),
            )
            if isinstance(event, StepDone)
        ]
        for model, name, decay in ((plain, "plain", 0.0), (averaged, "averaged", 0.9))
    ]
    assert told[0] == told[1]  # what is trained, and by what losses, is the same
    whole = checkpoint.load(tmp_path / "plain" / "last", resume=True)
    found = checkpoint.load(tmp_path / "averaged" / "last", resume=True)
    for name, value in whole.params.items():
        assert (found.optimizer[f"trained.{name}"] == value).all()
        assert (found.params[name] == averaged.params[name]).all()
        assert (found.params[name] != value).any()
    assert set(found.optimizer) - set(whole.optimizer) == {f"trained.{n}" for n in whole.params}
    # The score is a function of the weights: those in "best" give the score that chose them.
    best = checkpoint.load(tmp_path / "averaged" / "best")
    model = make_model()
    model.params = best.params
    assert make_score(model)()["CIDEr"] == found.state["best_score"]
    assert config.ema_decay == 0


def test_a_captioner_keeps_the_average_alone(tmp_path, flickr8k, store):
    from unrolled.jobs.config import RunConfig
    from unrolled.jobs.train import train_run

    sections = {
        "data": {"path": str(flickr8k), "features": str(store), "min_count": 1},
        "model": {"wordvec_dim": 4, "hidden_dim": 4},
        "training": {"epochs": 1, "batch_size": 4, "ema_decay": 0.9},
    }
    list(train_run(RunConfig.from_sections(sections, "test"), tmp_path))
    assert not any("optimizer" in name for name in all_bytes(tmp_path / "best"))
    last, best = (Captioner.load(tmp_path / kind).model.params for kind in ("last", "best"))
    assert all((last[name] == best[name]).all() for name in best)
