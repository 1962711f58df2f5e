"""The whole model against a twin in PyTorch: its own modules, padded batches and autograd."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled import CaptioningRNN

pytestmark = pytest.mark.peers

D, W, H, V, NULL = 6, 5, 7, 11, 3
WORDS = {"<NULL>": NULL} | {f"word {i}": i for i in range(V) if i != NULL}
TOLERANCE = {"float64": 1e-13, "float32": 2e-5}  # of an array's largest number


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def ragged_captions(rng, n=8, steps=9):
    """Lengths from none at all to the whole row, NULL in the middle, words again and again."""
    captions = rng.integers(V - 4, size=(n, steps))
    captions[captions == NULL] = 4
    for row, length in zip(captions, [0, 1, 2, 5, steps, 3, 9, 4], strict=True):
        row[length:] = NULL
    captions[4, 3] = NULL
    captions[6, [2, 4]] = NULL
    return captions


def twin_loss(torch, cell_type, params, features, captions):
    """Every position computed, those of NULL left out of the sum: the assignment's own way."""
    p = params
    nn = torch.nn.functional
    h = features @ p["W_proj"] + p["b_proj"]
    x = nn.embedding(captions[:, :-1], p["W_embed"])
    c = torch.zeros_like(h)
    states = []
    for t in range(x.shape[1]):
        if cell_type == "rnn":
            h = torch.rnn_tanh_cell(x[:, t], h, p["Wx"].T, p["Wh"].T, p["b"], 0 * p["b"])
        else:
            i, f, o, g = (x[:, t] @ p["Wx"] + h @ p["Wh"] + p["b"]).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        states.append(h)
    W_vocab = p.get("W_vocab", p["W_embed"].T)
    scores = torch.stack(states, dim=1) @ W_vocab + p["b_vocab"]
    words = captions[:, 1:].reshape(-1)
    total = nn.cross_entropy(scores.reshape(-1, V), words, ignore_index=NULL, reduction="sum")
    return total / len(features)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("cell_type", "options"),
    [
        ("rnn", {}),
        ("lstm", {}),
        ("lstm", {"forget_bias": 1.0}),
        ("rnn", {"tie_weights": True}),
        ("lstm", {"tie_weights": True, "forget_bias": 2.0}),
        ("lstm", {"dropout": 0.5}),  # none without a generator
    ],
)
def test_loss_and_gradients(torch, cell_type, options, dtype):
    rng = np.random.default_rng(0)
    width = H if options.get("tie_weights") else W
    model = CaptioningRNN(WORDS, D, width, H, cell_type, dtype, seed=0, **options)
    for name, value in model.params.items():  # biases too, or zero would hide them
        model.params[name] = value + (0.3 * rng.standard_normal(value.shape)).astype(dtype)
    captions = ragged_captions(rng)
    features = rng.standard_normal((len(captions), D)).astype(dtype)
    params = {name: torch.tensor(v, requires_grad=True) for name, v in model.params.items()}
    arguments = torch.tensor(features), torch.tensor(captions)
    expected = twin_loss(torch, cell_type, params, *arguments)
    expected.backward()

    loss, grads = model.loss(features, captions)
    assert loss == pytest.approx(expected.item(), rel=TOLERANCE[dtype])
    for name, gradient in grads.items():
        theirs = params[name].grad.numpy()
        atol = TOLERANCE[dtype] * max(1.0, np.abs(theirs).max())
        np.testing.assert_allclose(gradient, theirs, rtol=0, atol=atol, strict=True, err_msg=name)


def test_thirty_steps_of_training_go_where_pytorchs_go(torch):
    """Gradients that are right one by one stay right when training goes on from them."""
    rng = np.random.default_rng(1)
    model = CaptioningRNN(WORDS, D, W, H, "lstm", np.float64, seed=0)
    captions = ragged_captions(rng)
    features = rng.standard_normal((len(captions), D))
    params = {name: torch.tensor(v, requires_grad=True) for name, v in model.params.items()}
    optimiser = torch.optim.SGD(params.values(), lr=0.1)
    arguments = torch.tensor(features), torch.tensor(captions)
    for _ in range(30):
        optimiser.zero_grad()
        expected = twin_loss(torch, "lstm", params, *arguments)
        expected.backward()
        optimiser.step()
        loss, grads = model.loss(features, captions)
        assert loss == pytest.approx(expected.item(), rel=1e-11)
        for name, gradient in grads.items():
            model.params[name] = model.params[name] - 0.1 * gradient
