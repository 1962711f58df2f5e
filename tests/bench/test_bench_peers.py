"""PyTorch and ONNX Runtime do the same work as we, in every setting they are measured in."""

from dataclasses import replace

import numpy as np
import pytest

from unrolled.jobs.bench import Plan, Results, measure
from unrolled.jobs.bench.cases import (
    CASES,
    Shape,
    Sizes,
    decoding,
    flickr8k_captions,
    flickr8k_epoch,
    made_step,
)
from unrolled.jobs.events import Note

pytestmark = pytest.mark.peers

SHAPE = Shape(6, 5, Sizes(8, 16, 16, 40), 0.7)


def measured(plan):
    from benchmarks.peers import settings

    *events, results = measure(plan, lambda work: [s for s in settings(work) if suits(s)])
    assert isinstance(results, Results)
    assert not [event.text for event in events if isinstance(event, Note)]
    assert all(record.values for record in results.records)
    return {record.setting for record in results.records}


def suits(setting):
    """torch.compile takes minutes, and a compiler."""
    return "compiled" not in setting.name


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_all_come_to_the_same_loss(monkeypatch, cell):
    monkeypatch.setattr("unrolled.jobs.bench.plan.CASES", CASES | {"a": SHAPE})
    names = measured(Plan(parts=("step",), cases=("a",), cells=(cell,), rounds=1, threads=1))
    assert {"assignment's usual", "torch packed float32", "torch valid bfloat16"} < names


def test_growth_is_of_everybody_but_the_slowest_at_many_words():
    from benchmarks.peers import settings

    work = replace(made_step("V", SHAPE, "lstm"), part="plot", at=(40,))
    names = {setting.name for setting in settings(work)}
    layouts = ("all", "valid", "packed")
    torchs = {f"torch {how} {what}" for how in layouts for what in ("float32", "bfloat16")}
    assert {"unrolled numpy", "assignment's usual", *torchs} <= names
    assert not any("compiled" in name for name in names)
    wide = replace(work, sizes=work.sizes._replace(V=16000))
    assert names - {setting.name for setting in settings(wide)} == {"assignment's usual"}


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_torchs_gradients_are_ours(cell):
    """Not only its loss: a layer that is cut off from the gradient would be quick."""
    from benchmarks.pytorch import Minibatch, Model, loss_of

    work = made_step("a", SHAPE, cell)
    ours = work.model()
    grads = ours.loss(work.features[0], work.captions[0]).grads
    for layout in ("all", "valid", "packed"):
        model = Model(ours)
        loss_of(model, Minibatch.of(work.features[0], work.captions[0]), layout, False).backward()
        found = {
            "W_proj": model.proj.weight.grad.t(),
            "b_proj": model.proj.bias.grad,
            "W_embed": model.embed.weight.grad,
            "W_vocab": model.vocab.weight.grad.t(),
            "b_vocab": model.vocab.bias.grad,
        }
        for name, grad in found.items():
            np.testing.assert_allclose(grad, grads[name], rtol=2e-4, atol=1e-5, err_msg=name)
        mine = model.reordered
        for name, weight in (("Wx", "weight_ih_l0"), ("Wh", "weight_hh_l0"), ("b", "bias_ih_l0")):
            import torch

            grad = getattr(model.rnn, weight).grad
            wanted = mine(torch.from_numpy(grads[name]))
            np.testing.assert_allclose(grad, wanted, rtol=2e-4, atol=1e-5, err_msg=name)


def test_all_decoders_say_the_same(monkeypatch):
    monkeypatch.setattr("unrolled.jobs.bench.plan.decoding", lambda width, _: decoding(width, 80))
    names = measured(Plan(parts=("decode",), rounds=1, threads=1))
    assert {"torch LSTMCell float32", "torch LSTM bfloat16", "onnxruntime"} < names


def test_epochs_come_to_a_like_loss(monkeypatch):
    captions, words = flickr8k_captions(None)
    monkeypatch.setattr("unrolled.jobs.bench.plan.flickr8k_captions", lambda _: (captions, words))
    monkeypatch.setattr(
        "unrolled.jobs.bench.plan.flickr8k_epoch",
        lambda captions, words, cell, _: flickr8k_epoch(captions[:384], words, cell),
    )
    assert len(measured(Plan(parts=("epoch",), rounds=1, threads=1))) >= 4
