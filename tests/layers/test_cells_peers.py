"""Every registered cell with each of its options against its equations in PyTorch and autograd."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from unrolled.layers.cells import CELLS, variant

pytestmark = pytest.mark.peers

D, H, L = 6, 8, 7
BATCH_SIZES = (5, 4, 4, 1)  # of six sequences, one of them empty
P = sum(BATCH_SIZES)
TOLERANCE = {"float64": 1e-12, "float32": 5e-5}  # of an array's largest number
VARIANTS = [
    (name, layer_norm, gated)
    for name, layer_norm, gated in itertools.product(CELLS, (False, True), (False, True))
    if CELLS[name].attends or not gated
]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def look(torch, cell_type, h, A, w):
    """What the attention reads of locations, before its gate."""
    if cell_type == "attention":
        scores = (A @ h[:, :, None])[:, :, 0] / H**0.5
    else:
        scores = torch.tanh(A @ w["Wa"] + (h @ w["Ua"])[:, None]) @ w["wa"]
    return (scores.softmax(dim=1)[:, None] @ A)[:, 0]


def norm(torch, x, gain, shift=None):
    return torch.nn.functional.layer_norm(x, x.shape[1:], gain, shift)


def step(torch, cell_type, x, h, c, A, w):
    """One step of any cell: with norms and a gate where their weights are there."""
    recurrent = h @ w["Wh"]
    if A is not None:
        attn = look(torch, cell_type, h, A, w)
        if "wbeta" in w:
            attn = (h @ w["wbeta"] + w["bbeta"]).sigmoid()[:, None] * attn
        recurrent = recurrent + attn @ w["Wattn"]
    normed = "gx" in w
    a = norm(torch, x @ w["Wx"], w["gx"], w["b"]) if normed else x @ w["Wx"] + w["b"]
    r = norm(torch, recurrent, w["gh"]) if normed else recurrent
    if cell_type == "rnn":
        return (a + r).tanh(), c
    if cell_type == "gru":
        (ar, az, an), (rr, rz, rn) = a.chunk(3, dim=1), r.chunk(3, dim=1)
        z = (az + rz).sigmoid()
        n = (an + (ar + rr).sigmoid() * (rn + w["bn"])).tanh()
        return (1 - z) * n + z * h, c
    i, f, o, g = (a + r).chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    shown = norm(torch, c, w["gc"], w["bc"]) if normed else c
    return o.sigmoid() * shown.tanh(), c


def packed(torch, cell_type, x, image, w):
    attends = image.ndim == 3
    h = image.mean(dim=1) if attends else image
    c = h if attends else torch.zeros_like(h)
    hs = []
    for rows in x.split(BATCH_SIZES):
        n = len(rows)
        h, c = step(torch, cell_type, rows, h[:n], c[:n], image[:n] if attends else None, w)
        hs.append(h)
    return torch.cat(hs)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("cell_type", "layer_norm", "gated"), VARIANTS)
def test_packed_sequences(torch, cell_type, layer_norm, gated, dtype):
    cell = variant(CELLS[cell_type], layer_norm=layer_norm, attention_gate=gated)
    rng = np.random.default_rng(0)
    shapes = {"x": (P, D), "image": (6, L, H) if cell.attends else (6, H), **cell.shapes(D, H)}
    arrays = {k: (0.5 * rng.standard_normal(s)).astype(dtype) for k, s in shapes.items()}
    dh = rng.standard_normal((P, H)).astype(dtype)
    inputs = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
    x, image, *_ = inputs.values()
    expected = packed(torch, cell_type, x, image, inputs)
    (expected * torch.tensor(dh)).sum().backward()

    h, cache = cell.forward(*arrays.values(), BATCH_SIZES)
    grads = cell.backward(dh, cache)
    wanted = [expected.detach(), *(tensor.grad for tensor in inputs.values())]
    for name, ours, theirs in zip(("h", *inputs), (h, *grads), wanted, strict=True):
        atol = TOLERANCE[dtype] * max(1.0, float(theirs.abs().max()))
        np.testing.assert_allclose(
            ours, theirs.numpy(), rtol=0, atol=atol, strict=True, err_msg=name
        )


@pytest.mark.parametrize(("cell_type", "layer_norm", "gated"), VARIANTS)
def test_steps_while_a_caption_is_said(torch, cell_type, layer_norm, gated):
    """A decoder's steps, several captions an image, are those of the same equations."""
    cell = variant(CELLS[cell_type], layer_norm=layer_norm, attention_gate=gated)
    rng = np.random.default_rng(1)
    weights = {name: rng.standard_normal(shape) for name, shape in cell.shapes(D, H).items()}
    image = rng.standard_normal((2, L, H) if cell.attends else (2, H))
    state = tuple(np.repeat(member, 3, axis=0) for member in cell.start(image, *weights.values()))
    w = {name: torch.tensor(value) for name, value in weights.items()}
    A = torch.tensor(image).repeat_interleave(3, dim=0)
    h = A.mean(dim=1) if cell.attends else A
    c = h if cell.attends else torch.zeros_like(h)
    for _ in range(3):
        x = rng.standard_normal((6, D))
        state = cell.step(x, state, *weights.values())
        h, c = step(torch, cell_type, torch.tensor(x), h, c, A if cell.attends else None, w)
        np.testing.assert_allclose(state[0], h.numpy(), rtol=0, atol=1e-12)
