"""Self-critical training: its gradient is that of the expected reward, and rewards rise."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_run
from tiny_run import all_bytes

from unrolled.errors import InputError
from unrolled.gradcheck import numeric_gradient
from unrolled.model import CaptioningRNN
from unrolled.training import EpochDone, StepDone, TrainingConfig, train
from unrolled.training.objectives import make_objective
from unrolled.training.self_critical import self_critical_loss

VOCABULARY = {"<NULL>": 0, "<START>": 1, "<END>": 2, "a": 3}
END = VOCABULARY["<END>"]
LONGEST = 3


def tiny_model():
    model = CaptioningRNN(VOCABULARY, 2, 2, 3, "lstm", np.float64, seed=0, dropout=0.5)
    rng = np.random.default_rng(5)
    for name, value in model.params.items():
        model.params[name] = 0.7 * rng.standard_normal(value.shape)
    return model


FEATURES = np.random.default_rng(6).standard_normal((2, 2))


def every_caption():
    """All that can be said: END ends a caption, or the longest length."""
    others = [word for word in VOCABULARY.values() if word != END]
    ended = [(*words, END) for n in range(LONGEST) for words in itertools.product(others, repeat=n)]
    return [*ended, *itertools.product(others, repeat=LONGEST)]


def reward(captions):
    """Any function of an image (they take turns) and of a caption's words up to END."""
    n = np.arange(len(captions))[:, None, None] % 2
    places = np.arange(captions.shape[2])
    each = np.cos(2.0 * captions + places + 3 * n) + (captions == END)
    return (each * (captions >= 0)).sum(axis=2) ** 2


def padded(value):
    """Every caption as a row, filled up."""
    rows = [[*caption, value, value][:LONGEST] for caption in every_caption()]
    return np.array(rows)


def probabilities(model):
    """Of every caption for every image, from the model's steps; (2, captions)."""
    captions = np.tile(padded(-1), (2, 1))
    state = model.start(np.repeat(FEATURES, len(captions) // 2, axis=0))
    words, log_p = np.full(len(captions), VOCABULARY["<START>"]), np.zeros(len(captions))
    for said in captions.T:
        scores, state = model.step(words, state)
        p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        words = np.maximum(said, 0)
        log_p += np.where(said >= 0, np.log(p[np.arange(len(p)), words]), 0)
    return np.exp(log_p).reshape(2, -1)


def exact_gradient(model, name):
    rewards = reward(np.stack([padded(-1)] * 2))

    def loss(_):
        return -float((probabilities(model) * rewards).sum() / 2)

    return numeric_gradient(loss, model.params[name])


def test_every_caption_is_counted_once():
    np.testing.assert_allclose(probabilities(tiny_model()).sum(axis=1), 1, rtol=1e-12)


def test_probabilities_as_weights_give_the_exact_gradient():
    """All captions, each weighted by probability times advantage, whatever the baseline."""
    model, captions = tiny_model(), padded(-1)
    advantages = reward(np.stack([captions] * 2)) - np.array([[0.4], [-2.0]])
    weights = (probabilities(model) * advantages)[:, :, None] * (captions >= 0)
    started = np.insert(np.maximum(captions, 0), 0, VOCABULARY["<START>"], axis=1)
    loss = model.loss(
        np.repeat(FEATURES, len(captions), axis=0),
        np.tile(started, (2, 1)),
        weights=weights.reshape(-1, LONGEST) * len(captions),
    )
    for name in model.params:
        np.testing.assert_allclose(
            loss.grads[name], exact_gradient(model, name), atol=1e-8, err_msg=name
        )


@pytest.mark.parametrize(("baseline", "samples"), [("samples", 2), ("samples", 5), ("greedy", 1)])
def test_what_is_drawn_averages_to_the_exact_gradient(baseline, samples):
    model, names, draws = tiny_model(), ("b_vocab", "W_proj", "Wh"), 50
    found = {name: np.empty((draws, *model.params[name].shape)) for name in names}
    for draw in range(draws):
        estimate = self_critical_loss(
            model,
            np.tile(FEATURES, (100, 1)),  # a hundred draws at once
            reward,
            np.random.default_rng(draw),
            samples=samples,
            baseline=baseline,
            max_length=LONGEST,
        )
        for name in names:
            found[name][draw] = estimate.grads[name]
    for name in names:
        exact = exact_gradient(model, name)
        mean = found[name].mean(axis=0)
        error = found[name].std(axis=0, ddof=1) / np.sqrt(draws)
        assert (np.abs(mean - exact) / error).max() < 4.5, name  # of dozens; seeds are fixed
        # A test that cannot fail is none: seven tenths of the gradient are too far off.
        assert (np.abs(mean - 0.7 * exact) / error).max() > 4.5, name


def test_what_it_tells():
    model = tiny_model()
    told = self_critical_loss(
        model, FEATURES, reward, np.random.default_rng(1), samples=4, max_length=LONGEST
    )
    assert told.reward == pytest.approx(told.baseline)
    p = probabilities(model)
    assert told.nats / 8 == pytest.approx(-(p * np.log(p)).sum() / 2, rel=0.5)
    assert 8 <= told.tokens <= 8 * LONGEST
    greedy = self_critical_loss(
        model,
        FEATURES,
        reward,
        np.random.default_rng(1),
        samples=4,
        baseline="greedy",
        max_length=LONGEST,
    )
    assert greedy.reward == told.reward
    said = np.array([[c] for c in model.sample(FEATURES, LONGEST)])
    lengths = [[*c[0], END].index(END) + 1 for c in said.tolist()]
    for row, length in zip(said, lengths, strict=True):
        row[:, length:] = -1
    assert greedy.baseline == pytest.approx(reward(said).mean())


SETTINGS = {
    **tiny_run.SETTINGS,
    "objective": "self-critical",
    "samples": 3,
    "schedule": "constant",
}


def says_dog(rows, captions):
    """Worth one for each dog, and less for every word."""
    return ((captions == tiny_run.VOCAB["dog"]) - 0.1 * (captions >= 0)).sum(axis=2)


def run(model, config, **options):
    return train(
        model,
        tiny_run.make_batches(),
        config,
        score=tiny_run.make_score(model),
        reward=says_dog,
        max_length=4,
        **{"save": lambda *_: None} | options,
    )


@pytest.mark.parametrize("baseline", ["samples", "greedy"])
def test_rewards_rise(baseline):
    config = TrainingConfig(**SETTINGS | {"epochs": 40, "baseline": baseline})
    events = list(run(tiny_run.make_model(), config))
    rewards = [event.train_reward for event in events if isinstance(event, EpochDone)]
    assert rewards[0] < 1
    assert rewards[-1] > 3.2  # of 3.6: four times dog
    steps = [event for event in events if isinstance(event, StepDone)]
    for epoch in range(40):
        mean = np.mean([step.reward for step in steps[4 * epoch : 4 * epoch + 4]])
        assert rewards[epoch] == pytest.approx(mean)
    assert steps[-1].loss < steps[0].loss / 3  # it has made up its mind


def test_a_share_of_cross_entropy():
    """The gradient is the mix of the two, draws and dropout masks in their turn."""
    model = tiny_run.make_model()
    batch = next(tiny_run.make_batches().epoch(0))

    def gradient(share):
        config = TrainingConfig(**SETTINGS, cross_entropy_weight=share)
        objective = make_objective(model, config, null=0, reward=says_dog, max_length=4)
        return objective(batch, np.random.default_rng(3), 0).grads

    rng = np.random.default_rng(3)
    alone = self_critical_loss(
        model,
        batch.features,
        lambda captions: says_dog(batch.rows, captions),
        rng,
        samples=3,
        max_length=4,
    )
    said = model.loss(batch.features, batch.captions, rng=rng)
    for name, grad in gradient(0.25).items():
        expected = 0.75 * alone.grads[name] + 0.25 * said.grads[name]
        np.testing.assert_allclose(grad, expected, rtol=1e-5, atol=1e-7)
    for name, grad in gradient(0.0).items():
        np.testing.assert_array_equal(grad, alone.grads[name])


@pytest.mark.parametrize("steps", [1, 4, 6, 9])
def test_stopped_and_gone_on_with(tmp_path, steps):
    from test_resume import StopAfter

    from unrolled import checkpoint
    from unrolled.training import TrainingState

    config = TrainingConfig(**SETTINGS, cross_entropy_weight=0.2)

    def start(folder, stop=lambda: False):
        model = tiny_run.make_model()
        list(run(model, config, save=tiny_run.make_save(model, folder), stop=stop))

    start(tmp_path / "whole")
    start(tmp_path / "parts", StopAfter(steps))
    found = checkpoint.load(tmp_path / "parts" / "last", resume=True)
    model = tiny_run.make_model(seed=99)
    model.params = found.params
    state = TrainingState.from_dict(found.state, found.optimizer)
    list(run(model, config, save=tiny_run.make_save(model, tmp_path / "parts"), state=state))
    assert all_bytes(tmp_path / "whole") == all_bytes(tmp_path / "parts")


@pytest.mark.parametrize(
    ("baseline", "samples"), [("samples", 1), ("greedy", 0), ("mean", 5), ("samples", 0)]
)
def test_a_baseline_that_there_is_not(baseline, samples):
    with pytest.raises(InputError, match=f"got '{baseline}' and {samples} samples"):
        self_critical_loss(
            tiny_model(),
            FEATURES,
            reward,
            np.random.default_rng(0),
            samples=samples,
            baseline=baseline,
        )


def test_a_reward_is_needed():
    model = tiny_run.make_model()
    with pytest.raises(InputError, match="the self-critical objective needs a reward"):
        train(
            model,
            [SimpleNamespace()],
            TrainingConfig(**SETTINGS),
            score=dict,
            save=lambda *_: None,
        )
