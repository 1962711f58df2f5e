"""What the loop tells, saves and decides, on models whose every number is known."""

import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_run
from tiny_run import SETTINGS, all_bytes, make_batches, make_model, make_score

from unrolled import checkpoint, kernels, optim
from unrolled.errors import InputError
from unrolled.training import (
    EpochDone,
    Finished,
    Saved,
    StepDone,
    TrainingConfig,
    TrainingState,
    event_record,
    train,
)


class FlatModel:
    """One weight, and losses that the test dictates."""

    def __init__(self, losses=(), gradient=1.0):
        self.params = {"W": np.zeros((1, 1))}
        self.losses = iter(losses)
        self.gradient = gradient
        self.draws = []

    def loss(self, features, captions, *, rng=None):
        self.draws.append(rng.integers(2**60))
        return next(self.losses, 1.0), {"W": np.full((1, 1), self.gradient)}


class FlatBatches:
    """Batches of three captions; batch i has 1 + i, 0 and 2 tokens."""

    def __init__(self, count=2):
        self.count = count

    def __len__(self):
        return self.count

    def epoch(self, number, start=0):
        for index in range(start, self.count):
            captions = np.zeros((3, 2 + self.count), np.int32)
            captions[:, 0] = 1
            captions[0, 1 : 2 + index] = 5
            captions[2, 1:3] = 6
            yield SimpleNamespace(features=np.zeros((3, 1)), captions=captions, index=index)


class Clock:
    """A clock that ticks one second whenever it is read."""

    def __init__(self):
        self.time = 0.0

    def __call__(self):
        self.time += 1
        return self.time


def run(model=None, batches=None, *, scores=(), saves=None, clock=None, stop=None, **settings):
    settings = {"epochs": 2, "rule": "sgd", "schedule": "constant", "patience": 0} | settings
    scripted = iter(scores)
    kept = [] if saves is None else saves
    return train(
        model or FlatModel(),
        FlatBatches() if batches is None else batches,
        TrainingConfig(**settings),
        score=lambda: next(scripted, {"CIDEr": 0.0}),
        save=lambda kind, state: kept.append((kind, state.step)),
        stop=stop or (lambda: False),
        clock=clock or Clock(),
    )


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def test_the_order_of_events():
    saves = []
    names = [event_record(event)["event"] for event in run(saves=saves, scores=[{"CIDEr": 1.0}])]
    one_epoch = ["step", "step", "epoch"]
    second = [*one_epoch, "saved", "finished"]
    assert names == ["saved", *one_epoch, "saved", "saved", *second]
    assert saves == [("last", 0), ("best", 2), ("last", 2), ("last", 4)]


def test_the_end_gives_back_the_memory_that_was_kept():
    extension = pytest.importorskip("unrolled.kernels._compiled")
    if kernels.compiled() is None or not hasattr(extension, "buffers"):
        pytest.skip("no memory is kept")

    class Large(FlatModel):
        @kernels.kept_buffers()
        def loss(self, features, captions, *, rng=None):
            np.empty(1 << 20)
            return super().loss(features, captions, rng=rng)

    idle = [extension.buffer_bytes()[1] for _ in run(Large())]
    assert min(idle[1:-1]) > 0
    assert idle[-1] == 0


def test_every_epoch_has_batches_of_its_own():
    asked = []

    class Noted(FlatBatches):
        def epoch(self, number, start=0):
            asked.append((number, start))
            return super().epoch(number, start)

    list(run(batches=Noted(), epochs=3))
    assert asked == [(0, 0), (1, 0), (2, 0)]


def test_losses_are_nats_per_token():
    events = list(run(FlatModel(losses=[2.0, 4.0, 1.0, 1.0])))
    steps = of(StepDone, events)
    # The model's loss is a sum divided by three captions; the batches have 3 and 4 tokens.
    assert [step.tokens for step in steps] == [3, 4, 3, 4]
    assert [step.loss for step in steps] == [2.0, 3.0, 1.0, 0.75]
    assert [epoch.train_loss for epoch in of(EpochDone, events)] == [18 / 7, 6 / 7]


def test_the_loss_per_token_is_the_models_own():
    """On the real model: the words' mean negative log-probability, by its own decoder step."""
    model = make_model()
    model.dropout = 0.0
    batch = next(make_batches().epoch(0))
    words, captions = [], batch.captions
    state = model.start(batch.features)
    for t in range(captions.shape[1] - 1):
        logits, state = model.step(captions[:, t], state)
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        for n, word in enumerate(captions[:, t + 1]):
            if word != 0:
                words.append(-log_probs[n, word])
    events = train(
        model,
        make_batches(),
        TrainingConfig(**SETTINGS),
        score=dict,
        save=lambda *_: None,
    )
    first = next(event for event in events if isinstance(event, StepDone))
    assert first.tokens == len(words)
    assert first.loss == pytest.approx(np.mean(words), rel=1e-5)


def test_rates_norms_and_speeds():
    events = list(run(FlatModel(gradient=-3.0), schedule="linear", learning_rate=0.8, clip_norm=2))
    steps = of(StepDone, events)
    assert [step.learning_rate for step in steps] == pytest.approx([0.8, 0.6, 0.4, 0.2])
    assert {step.grad_norm for step in steps} == {3.0}
    assert [(step.epoch, step.step) for step in steps] == [(1, 1), (1, 2), (2, 3), (2, 4)]
    # The clock is read when a step begins and when it ends: one second each.
    assert [step.tokens_per_second for step in steps] == [3.0, 4.0, 3.0, 4.0]


@pytest.mark.parametrize("clip_norm", [0, 2.0])
def test_the_weights_move_as_the_update_rule_says(clip_norm):
    model = FlatModel(gradient=-3.0)
    expected = {"W": np.zeros((1, 1))}
    rule = optim.RMSProp(alpha=0.9)
    state = optim.init_state(expected, rule)
    for step in range(4):
        optim.update(
            expected,
            {"W": np.full((1, 1), -3.0)},
            state,
            rule,
            learning_rate=0.1 * min(1, (step + 1) / 3),
            weight_decay=0.5,
            clip_norm=clip_norm or None,
        )
    settings = {"rule": "rmsprop", "alpha": 0.9, "learning_rate": 0.1, "warmup_steps": 3}
    list(run(model, weight_decay=0.5, clip_norm=clip_norm, **settings))
    assert model.params["W"].tobytes() == expected["W"].tobytes()


def test_dropout_draws_depend_on_seed_and_step_alone():
    first, second, other = FlatModel(), FlatModel(), FlatModel()
    list(run(first, epochs=3))
    list(run(second, batches=FlatBatches(3), epochs=2))
    list(run(other, epochs=3, seed=1))
    assert first.draws == second.draws
    assert len({*first.draws, *other.draws}) == 12


@pytest.mark.parametrize(
    ("best_by", "values", "best", "epochs"),
    [
        ("CIDEr", [1.0, 3.0, 2.0, 2.9, 9.0], [1, 2], 4),
        ("val_loss", [3.0, 1.0, 2.0, 1.5, 0.0], [1, 2], 4),
        ("CIDEr", [1.0, 1.0, 1.0], [1], 3),
        ("CIDEr", [math.nan, math.inf, 0.0, -1.0, 1.0], [], 2),
        ("CIDEr", [-1.0, math.nan, 0.5, 0.7, 0.6], [1, 3, 4], 5),
    ],
)
def test_the_best_is_kept_and_patience_ends(best_by, values, best, epochs):
    saves = []
    scores = [{"val_loss": 0.0, "CIDEr": 0.0} | {best_by: value} for value in values]
    events = list(run(scores=scores, saves=saves, epochs=5, patience=2, best_by=best_by))
    done = of(EpochDone, events)
    assert [event.epoch for event in done if event.is_best] == best
    assert [step // 2 for kind, step in saves if kind == "best"] == best
    assert len(done) == epochs
    reason = "completed" if epochs == 5 else "early_stop"
    assert events[-1] == Finished(reason, epochs, 2 * epochs)
    assert saves[-1] == ("last", 2 * epochs)


def test_scores_must_hold_the_one_that_chooses():
    with pytest.raises(InputError, match="best_by is 'CIDEr', but the scores are val_loss, BLEU"):
        list(run(scores=[{"val_loss": 1.0, "BLEU": 0.2}]))


def test_saving_every_so_many_steps():
    saves = []
    list(run(batches=FlatBatches(5), epochs=1, save_every_steps=2, saves=saves))
    assert saves == [("last", 0), ("last", 2), ("last", 4), ("best", 5), ("last", 5)]


def test_saving_every_so_many_seconds():
    saves = []
    # Three readings of the clock a step, and one when saving: due after 3, 3, ... steps.
    list(run(batches=FlatBatches(7), epochs=1, save_every_seconds=5, saves=saves))
    assert [step for kind, step in saves if kind == "last"] == [0, 3, 6, 7]
    never = []
    list(run(batches=FlatBatches(7), epochs=1, save_every_seconds=0, saves=never))
    assert never == [("last", 0), ("best", 7), ("last", 7)]


def test_stop_saves_and_says_so():
    saves, asked = [], []

    def stop():
        asked.append(1)
        return len(asked) > 1

    events = list(run(saves=saves, stop=stop))
    assert [type(event) for event in events] == [Saved, StepDone, Saved, Finished]
    assert events[-1] == Finished("interrupted", 0, 1)
    assert saves == [("last", 0), ("last", 1)]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_a_loss_that_is_not_finite(bad):
    saves, model = [], FlatModel(losses=[1.0, 1.0, bad])
    events = run(model, saves=saves, learning_rate=0.5, clip_norm=0)
    told = []
    words = rf"epoch 2, step 3: the loss is {float(bad)}. .*learning_rate \(now 0.5\).*'?off'?"
    with pytest.raises(InputError, match=words):
        told.extend(events)
    assert saves == [("last", 0), ("best", 2), ("last", 2)]


def test_a_gradient_that_is_not_finite():
    model = FlatModel(gradient=math.nan)
    with pytest.raises(InputError, match="epoch 1, step 1: update: the gradient of W holds 1 of 1"):
        list(run(model))
    assert model.params["W"] == 0


def test_divergence_leaves_the_files_as_they_were(tmp_path, monkeypatch):
    config = TrainingConfig(**SETTINGS, schedule="constant")
    list(tiny_run.start(tmp_path, config))
    before = all_bytes(tmp_path)
    batches = make_batches()
    batches.features[:] = np.nan
    monkeypatch.setattr(tiny_run, "make_batches", lambda: batches)
    with pytest.raises(InputError, match="epoch 3, step 9: the loss is nan"):
        list(tiny_run.go_on(tmp_path, dataclasses.replace(config, epochs=3)))
    assert all_bytes(tmp_path) == before


def test_a_rate_so_high_that_the_weights_overflow(tmp_path):
    """What was saved before is sound: weights that are not finite are never written."""
    config = TrainingConfig(
        epochs=9, rule="sgd", learning_rate=1e30, clip_norm=0, patience=0, save_every_steps=1
    )
    with pytest.raises(InputError, match=r"learning_rate|not finite"):
        list(tiny_run.start(tmp_path, config))
    params = checkpoint.load(tmp_path / "last", resume=True).params
    assert all(np.isfinite(param).all() for param in params.values())


def test_batches_that_do_not_keep_their_word():
    class Fewer(FlatBatches):
        def epoch(self, number, start=0):
            return list(super().epoch(number, start))[:-1]

    class Deaf(FlatBatches):
        def epoch(self, number, start=0):
            return super().epoch(number, 0)

    with pytest.raises(InputError, match="epoch 1 ended after 1 batches of 2"):
        list(run(batches=Fewer()))
    with pytest.raises(InputError, match="there is nothing to train on"):
        run(batches=FlatBatches(0))
    model, config = FlatModel(), TrainingConfig(epochs=1)
    state = TrainingState.fresh(model.params, config, 2)
    state = TrainingState.from_dict(state.to_dict() | {"batch": 1, "step": 1}, state.optimizer)
    arguments = {"score": dict, "save": lambda *_: None, "state": state}
    with pytest.raises(InputError, match="epoch 1, step 2: expected batch 1, got 0"):
        list(train(model, Deaf(), config, **arguments))


def test_records_are_json():
    scores = {"val_loss": math.inf, "CIDEr": 0.5}
    events = [
        StepDone(1, 2, 3.5, 40, 1e4, 1e-3, 0.7),
        EpochDone(1, 2, 3.5, scores, True),
        Saved("best", 1, 2),
        Finished("completed", 1, 2),
    ]
    records = [json.loads(json.dumps(event_record(e), allow_nan=False)) for e in events]
    assert records == [
        {"event": "step", "epoch": 1, "step": 2, "loss": 3.5, "tokens": 40}
        | {"tokens_per_second": 1e4, "learning_rate": 1e-3, "grad_norm": 0.7},
        {"event": "epoch", "epoch": 1, "step": 2, "train_loss": 3.5, "is_best": True}
        | {"scores": {"val_loss": None, "CIDEr": 0.5}},
        {"event": "saved", "kind": "best", "epoch": 1, "step": 2},
        {"event": "finished", "reason": "completed", "epoch": 1, "step": 2},
    ]


def test_training_learns():
    """Thirteen captions by heart: the loss falls far below that of a uniform guess."""
    model = make_model()
    model.dropout = 0.0
    config = TrainingConfig(epochs=60, learning_rate=0.05, schedule="constant", patience=0)
    score = make_score(model)
    events = list(train(model, make_batches(), config, score=score, save=lambda *_: None))
    losses = [event.train_loss for event in of(EpochDone, events)]
    assert losses[0] == pytest.approx(math.log(len(tiny_run.WORDS)), rel=0.3)
    assert losses[-1] < 0.5 * losses[0]
