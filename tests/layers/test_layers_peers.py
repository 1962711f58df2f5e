"""The layers against PyTorch's own, forward and backward, in float64 and in float32."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled import layers

pytestmark = pytest.mark.peers

N, T, D, H, V = 5, 7, 6, 8, 11
LENGTHS = np.array([4, 7, 1, 7, 2])
TOLERANCE = {"float64": 1e-13, "float32": 2e-5}  # of an array's largest number
every_dtype = pytest.mark.parametrize("dtype", TOLERANCE)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def draw(dtype, *shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def assert_close(ours, theirs, dtype):
    for a, b in zip(ours, theirs, strict=True):
        b = b.detach().numpy() if hasattr(b, "detach") else b
        scale = np.abs(b).max(initial=1.0)
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[dtype] * scale, strict=True)


def to_torch_gates(w):
    """Our i, f, o, g to PyTorch's i, f, g, o, and (in, out) to (out, in)."""
    i, f, o, g = np.split(w, 4, axis=-1)
    return np.concatenate([i, f, g, o], axis=-1).T


def from_torch_gates(w):
    i, f, g, o = np.split(np.asarray(w).T, 4, axis=-1)
    return np.concatenate([i, f, o, g], axis=-1)


class Peer:
    """`nn.RNN` or `nn.LSTM` with our weights, and its gradients in our layout."""

    def __init__(self, torch, cell, dtype, weights):
        self.cell, self.torch = cell, torch
        module = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM}[cell]
        self.module = module(D, H, batch_first=True, dtype=getattr(torch, dtype))
        self.to, self.back = (
            (to_torch_gates, from_torch_gates) if cell == "lstm" else (np.transpose, np.transpose)
        )
        Wx, Wh, b = weights
        with torch.no_grad():
            for name, value in {
                "weight_ih_l0": self.to(Wx),
                "weight_hh_l0": self.to(Wh),
                "bias_ih_l0": 0.25 * self.to(b),  # PyTorch has two biases, of which we are the sum
                "bias_hh_l0": 0.75 * self.to(b),
            }.items():
                getattr(self.module, name).copy_(torch.tensor(np.ascontiguousarray(value)))

    def __call__(self, x, h0, c0):
        """Return (output, final_h, final_c)."""
        states = h0[None] if self.cell == "rnn" else (h0[None], c0[None])
        out, final = self.module(x, states)
        return (out, final[0], None) if self.cell == "rnn" else (out, final[0][0], final[1][0])

    def weight_grads(self):
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
        return [self.back(getattr(self.module, name).grad.numpy()) for name in names]


def recurrent(dtype, cell):
    G = 4 * H if cell == "lstm" else H
    shapes = [(N, T, D), (N, H), (N, H), (D, G), (H, G), (G,), (N, T, H), (N, H)]
    x, h0, c0, Wx, Wh, b, dh, dfinal_c = draw(dtype, *shapes)
    return x, h0, c0, (Wx, Wh, b), dh, dfinal_c


@every_dtype
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_sequences(torch, cell, dtype):
    x, h0, c0, weights, dh, dfinal_c = recurrent(dtype, cell)
    peer = Peer(torch, cell, dtype, weights)
    inputs = [torch.tensor(a, requires_grad=True) for a in (x, h0, c0)]
    out, final_h, final_c = peer(*inputs)
    loss = (out * torch.tensor(dh)).sum()
    if cell == "lstm":
        loss = loss + (final_c * torch.tensor(dfinal_c)).sum()
    loss.backward()

    if cell == "rnn":
        h, cache = layers.rnn_forward(x, h0, *weights)
        grads = layers.rnn_backward(dh, cache)
    else:
        h, cache = layers.lstm_forward(x, h0, *weights, c0=c0)
        grads = layers.lstm_backward(dh, cache, dfinal_c=dfinal_c)
        assert_close([cache.final_h, cache.final_c], [final_h, final_c], dtype)
        assert_close([grads.dc0], [inputs[2].grad], dtype)
    assert_close([h], [out], dtype)
    assert_close(grads, [inputs[0].grad, inputs[1].grad, *peer.weight_grads()], dtype)


@every_dtype
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_packed_sequences(torch, cell, dtype):
    """`pack_padded_sequence` lays out the very rows that `pack_lengths` does."""
    x, h0, c0, weights, dh, dfinal_c = recurrent(dtype, cell)
    peer = Peer(torch, cell, dtype, weights)
    rnn = torch.nn.utils.rnn
    inputs = [torch.tensor(a, requires_grad=True) for a in (x, h0, c0)]
    order, batch_sizes, sequence, step = layers.pack_lengths(LENGTHS)
    packed = rnn.pack_padded_sequence(
        inputs[0], torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    np.testing.assert_array_equal(packed.batch_sizes, batch_sizes)
    np.testing.assert_array_equal(packed.data.detach(), x[sequence, step])
    np.testing.assert_array_equal(packed.sorted_indices, order)
    out, final_h, final_c = peer(packed, *inputs[1:])
    loss = (out.data * torch.tensor(dh[sequence, step])).sum()
    if cell == "lstm":
        loss = loss + (final_c * torch.tensor(dfinal_c)).sum()
    loss.backward()

    arguments = x[sequence, step], h0[order], *weights, batch_sizes
    if cell == "rnn":
        h, cache = layers.rnn_packed_forward(*arguments)
        grads = layers.rnn_packed_backward(dh[sequence, step], cache)
    else:
        h, cache = layers.lstm_packed_forward(*arguments, c0=c0[order])
        grads = layers.lstm_packed_backward(dh[sequence, step], cache, dfinal_c=dfinal_c[order])
        assert_close([cache.final_h, cache.final_c], [final_h[order], final_c[order]], dtype)
        assert_close([grads.dc0], [inputs[2].grad[order]], dtype)
    assert_close([h], [out.data], dtype)
    dx, dh0 = inputs[0].grad[sequence, step], inputs[1].grad[order]
    assert_close(grads, [dx, dh0, *peer.weight_grads()], dtype)


@every_dtype
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_one_step(torch, cell, dtype):
    x, h0, c0, weights, dh, dc = recurrent(dtype, cell)
    peer = Peer(torch, cell, dtype, weights)
    inputs = [torch.tensor(a, requires_grad=True) for a in (x[:, :1], h0, c0)]
    out, _, final_c = peer(*inputs)
    loss = (out[:, 0] * torch.tensor(dh[:, 0])).sum()
    if cell == "rnn":
        loss.backward()
        next_h, cache = layers.rnn_step_forward(x[:, 0], h0, *weights)
        grads = layers.rnn_step_backward(dh[:, 0], cache)
        states = [inputs[1].grad]
    else:
        (loss + (final_c * torch.tensor(dc)).sum()).backward()
        next_h, next_c, cache = layers.lstm_step_forward(x[:, 0], h0, c0, *weights)
        grads = layers.lstm_step_backward(dh[:, 0], dc, cache)
        states = [inputs[1].grad, inputs[2].grad]
        assert_close([next_c], [final_c], dtype)
    assert_close([next_h], [out[:, 0]], dtype)
    assert_close(grads, [inputs[0].grad[:, 0], *states, *peer.weight_grads()], dtype)


@every_dtype
def test_embedding(torch, dtype):
    x = np.random.default_rng(1).integers(4, size=(N, T))  # of V words few, so that they repeat
    W, dout = draw(dtype, (V, D), (N, T, D))
    peer = torch.nn.Embedding.from_pretrained(torch.tensor(W), freeze=False)
    expected = peer(torch.tensor(x))
    expected.backward(torch.tensor(dout))
    out, cache = layers.word_embedding_forward(x, W)
    assert_close([out], [expected], dtype)
    assert_close([layers.word_embedding_backward(dout, cache)], [peer.weight.grad], dtype)


@every_dtype
def test_affine(torch, dtype):
    x, w, b, dout = draw(dtype, (N, T, D), (D, H), (H,), (N, T, H))
    inputs = [torch.tensor(a, requires_grad=True) for a in (x, w, b)]
    expected = torch.nn.functional.linear(inputs[0], inputs[1].T, inputs[2])
    expected.backward(torch.tensor(dout))
    out, cache = layers.temporal_affine_forward(x, w, b)
    assert_close([out], [expected], dtype)
    grads = layers.temporal_affine_backward(dout, cache)
    assert_close(grads, [a.grad for a in inputs], dtype)
    out, cache = layers.affine_forward(x[:, 0], w, b)
    assert_close([out], [expected[:, 0]], dtype)


@every_dtype
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_cross_entropy(torch, scale, dtype):
    (x,) = draw(dtype, (N, T, V))
    x *= np.dtype(dtype).type(scale)
    y = np.random.default_rng(2).integers(V, size=(N, T))
    mask = np.arange(T) < LENGTHS[:, None]
    scores = torch.tensor(x, requires_grad=True)
    words = torch.tensor(np.where(mask, y, -100))
    cross_entropy = torch.nn.functional.cross_entropy
    expected = cross_entropy(scores.reshape(-1, V), words.reshape(-1), reduction="sum") / N
    expected.backward()
    loss, dx = layers.temporal_softmax_loss(x, y, mask)
    assert_close([dx], [scores.grad], dtype)
    np.testing.assert_allclose(loss, expected.detach(), rtol=TOLERANCE[dtype])


@every_dtype
def test_sigmoid(torch, dtype):
    x = np.linspace(-60, 60, 1001).astype(dtype)
    expected = torch.sigmoid(torch.tensor(x)).numpy()
    np.testing.assert_allclose(layers.sigmoid(x), expected, rtol=8 * np.finfo(dtype).eps)


@every_dtype
def test_gru(torch, dtype):
    """`nn.GRU` over packed sequences, its two biases apart in the third gate only."""
    shapes = [(N, T, D), (N, H), (D, 3 * H), (H, 3 * H), (3 * H,), (H,), (N, T, H)]
    x, h0, Wx, Wh, b, bn, dh = draw(dtype, *shapes)
    peer = torch.nn.GRU(D, H, batch_first=True, dtype=getattr(torch, dtype))
    with torch.no_grad():
        for name, value in {
            "weight_ih_l0": Wx.T,
            "weight_hh_l0": Wh.T,
            "bias_ih_l0": np.concatenate([0.25 * b[: 2 * H], b[2 * H :]]),
            "bias_hh_l0": np.concatenate([0.75 * b[: 2 * H], bn]),
        }.items():
            getattr(peer, name).copy_(torch.tensor(np.ascontiguousarray(value)))
    inputs = [torch.tensor(a, requires_grad=True) for a in (x, h0)]
    order, batch_sizes, sequence, step = layers.pack_lengths(LENGTHS)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        inputs[0], torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    out, final_h = peer(packed, inputs[1][None])
    (out.data * torch.tensor(dh[sequence, step])).sum().backward()

    h, cache = layers.gru_packed_forward(x[sequence, step], h0[order], Wx, Wh, b, bn, batch_sizes)
    grads = layers.gru_packed_backward(dh[sequence, step], cache)
    assert_close([h, cache.final_h], [out.data, final_h[0][order]], dtype)
    of_peer = [np.asarray(getattr(peer, name).grad).T for name, _ in peer.named_parameters()]
    dWx, dWh, db, dbh = of_peer
    dx, dh0 = inputs[0].grad[sequence, step], inputs[1].grad[order]
    assert_close(grads, [dx, dh0, dWx, dWh, db, dbh[2 * H :]], dtype)


@every_dtype
def test_layer_norm(torch, dtype):
    x, g, b, dout = draw(dtype, (N, H), (H,), (H,), (N, H))
    inputs = [torch.tensor(a, requires_grad=True) for a in (x, g, b)]
    expected = torch.nn.functional.layer_norm(inputs[0], (H,), *inputs[1:])
    expected.backward(torch.tensor(dout))
    out, cache = layers.layer_norm_forward(x, g, b)
    assert_close([out], [expected], dtype)
    assert_close(layers.layer_norm_backward(dout, cache), [a.grad for a in inputs], dtype)
