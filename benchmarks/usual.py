"""The assignment's usual solution, written anew from its equations: what most students hand in.

A loop over time with everything in it, buffers that NumPy makes float64, `numpy.add.at` for the
word vectors, scores and their softmax over all words of the batch, padding included.
"""

from __future__ import annotations

import numpy as np

from unrolled.jobs.bench import Run, Work

Array = np.ndarray


def step(work: Work) -> Run:
    """Loss and all gradients of every minibatch; the outcome is the mean loss."""
    params = work.model().params
    pairs = list(zip(work.features, work.captions, strict=True))

    def run() -> float:
        return float(np.mean([loss(params, work.cell, *pair)[0] for pair in pairs]))

    return run


def loss(
    params: dict[str, Array], cell: str, features: Array, captions: Array, null: int = 0
) -> tuple[float, dict[str, Array]]:
    """Loss, summed over words and divided by N, and all gradients."""
    words_in, words_out = captions[:, :-1], captions[:, 1:]
    forward, backward = {"rnn": (_rnn, _rnn_back), "lstm": (_lstm, _lstm_back)}[cell]
    h0 = features.dot(params["W_proj"]) + params["b_proj"]
    x = params["W_embed"][words_in]
    h, caches = forward(x, h0, params["Wx"], params["Wh"], params["b"])
    N, T, H = h.shape
    scores = h.reshape(N * T, H).dot(params["W_vocab"]).reshape(N, T, -1) + params["b_vocab"]
    total, dscores = _softmax_loss(scores, words_out, words_out != null)

    flat = dscores.reshape(N * T, -1)
    grads = {"W_vocab": h.reshape(N * T, H).T.dot(flat), "b_vocab": flat.sum(axis=0)}
    dh = flat.dot(params["W_vocab"].T).reshape(N, T, H)
    dx, dh0, grads["Wx"], grads["Wh"], grads["b"] = backward(dh, caches)
    grads["W_embed"] = np.zeros_like(params["W_embed"])
    np.add.at(grads["W_embed"], words_in, dx)
    grads["W_proj"], grads["b_proj"] = features.T.dot(dh0), dh0.sum(axis=0)
    return total, grads


def _softmax_loss(x: Array, y: Array, mask: Array) -> tuple[float, Array]:
    N, T, V = x.shape
    flat, words, counts = x.reshape(N * T, V), y.reshape(N * T), mask.reshape(N * T)
    probs = np.exp(flat - np.max(flat, axis=1, keepdims=True))
    probs /= np.sum(probs, axis=1, keepdims=True)
    total = -np.sum(counts * np.log(probs[np.arange(N * T), words])) / N
    dflat = probs.copy()
    dflat[np.arange(N * T), words] -= 1
    dflat /= N
    dflat *= counts[:, None]
    return float(total), dflat.reshape(N, T, V)


def _rnn(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, list]:
    N, T, _ = x.shape
    h, prev_h, caches = np.zeros((N, T, h0.shape[1])), h0, []
    for t in range(T):
        next_h = np.tanh(x[:, t].dot(Wx) + prev_h.dot(Wh) + b)
        caches.append((x[:, t], prev_h, Wx, Wh, next_h))
        h[:, t] = prev_h = next_h
    return h, caches


def _rnn_back(dh: Array, caches: list) -> tuple[Array, ...]:
    N, T, H = dh.shape
    Wx, Wh = caches[0][2:4]
    dx, dprev_h = np.zeros((N, T, Wx.shape[0])), np.zeros((N, H))
    dWx, dWh, db = np.zeros(Wx.shape), np.zeros(Wh.shape), np.zeros(H)
    for t in reversed(range(T)):
        x, prev_h, _, _, next_h = caches[t]
        da = (dh[:, t] + dprev_h) * (1 - next_h**2)
        dx[:, t], dprev_h = da.dot(Wx.T), da.dot(Wh.T)
        dWx += x.T.dot(da)
        dWh += prev_h.T.dot(da)
        db += da.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


def _sigmoid(x: Array) -> Array:
    z = np.zeros_like(x)
    z[x >= 0] = np.exp(-x[x >= 0])
    z[x < 0] = np.exp(x[x < 0])
    top = np.ones_like(x)
    top[x < 0] = z[x < 0]
    return top / (1 + z)


def _lstm(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, list]:
    N, T, _ = x.shape
    H = h0.shape[1]
    h, prev_h, prev_c, caches = np.zeros((N, T, H)), h0, np.zeros_like(h0), []
    for t in range(T):
        a = x[:, t].dot(Wx) + prev_h.dot(Wh) + b
        i, f, o = (_sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
        g = np.tanh(a[:, 3 * H :])
        next_c = f * prev_c + i * g
        next_h = o * np.tanh(next_c)
        caches.append((x[:, t], prev_h, prev_c, Wx, Wh, i, f, o, g, next_c))
        h[:, t], prev_h, prev_c = next_h, next_h, next_c
    return h, caches


def _lstm_back(dh: Array, caches: list) -> tuple[Array, ...]:
    N, T, H = dh.shape
    Wx, Wh = caches[0][3:5]
    dx, dprev_h, dprev_c = np.zeros((N, T, Wx.shape[0])), np.zeros((N, H)), np.zeros((N, H))
    dWx, dWh, db = np.zeros(Wx.shape), np.zeros(Wh.shape), np.zeros(4 * H)
    for t in reversed(range(T)):
        x, prev_h, prev_c, _, _, i, f, o, g, next_c = caches[t]
        dnext_h = dh[:, t] + dprev_h
        tanh_c = np.tanh(next_c)
        dc = dprev_c + dnext_h * o * (1 - tanh_c**2)
        di, df, do, dg = dc * g, dc * prev_c, dnext_h * tanh_c, dc * i
        da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)))
        dx[:, t], dprev_h, dprev_c = da.dot(Wx.T), da.dot(Wh.T), dc * f
        dWx += x.T.dot(da)
        dWh += prev_h.T.dot(da)
        db += da.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db
