"""The assignment's functions in plain NumPy, with a knob for everything that people get wrong.

At their defaults they are right, and forgiving where our layers are strict: they take a state of 0
or one row for a whole batch, as students' code does. They stand in for helpers that a file expects
and does not bring. Turned, they give what a known mistake gives: that is how mistakes are told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from unrolled.layers.arrays import Array

GATES = "ifog"


def sigmoid(x: Any) -> Any:
    """Logistic sigmoid that does not overflow."""
    z = np.exp(-np.abs(x))
    return np.where(np.asarray(x) >= 0, 1, z) / (1 + z)


def relu(x: Any) -> Any:
    """Rectifier."""
    return np.maximum(x, 0)


def identity(x: Any) -> Any:
    """No nonlinearity."""
    return x


def affine_forward(x: Any, w: Any, b: Any, *, bias: int = 1) -> Any:
    """Affine layer over all axes but the first."""
    return x.reshape(x.shape[0], -1) @ w + bias * b, (x, w, b)


def affine_backward(dout: Any, cache: Any) -> Any:
    """Backward of `affine_forward`."""
    x, w, _ = cache
    rows = x.reshape(x.shape[0], -1)
    return (dout @ w.T).reshape(x.shape), rows.T @ dout, dout.sum(axis=0)


def temporal_affine_forward(x: Any, w: Any, b: Any, *, bias: int = 1) -> Any:
    """Affine layer at every time step."""
    return x @ w + bias * b, (x, w, b)


def temporal_affine_backward(dout: Any, cache: Any) -> Any:
    """Backward of `temporal_affine_forward`."""
    x, w, _ = cache
    rows, douts = x.reshape(-1, x.shape[-1]), dout.reshape(-1, dout.shape[-1])
    return dout @ w.T, rows.T @ douts, douts.sum(axis=0)


def word_embedding_forward(x: Any, W: Any) -> Any:
    """Rows of W."""
    return W[x], (x, W)


def word_embedding_backward(dout: Any, cache: Any, *, repeated: str = "summed") -> Any:
    """Backward of `word_embedding_forward`; ``repeated`` words may lose all but one place."""
    x, W = cache
    dW = np.zeros(W.shape, dout.dtype)
    if repeated == "summed":
        np.add.at(dW, x, dout)
    elif repeated == "last":
        dW[x] = dout
    else:  # the first place
        np.add.at(dW, *_first_places(x, dout))
    return dW


def _first_places(x: Array, dout: Array) -> tuple[Array, Array]:
    words, places = np.unique(x, return_index=True)
    return words, dout.reshape(-1, dout.shape[-1])[places]


def temporal_softmax_loss(
    x: Any,
    y: Any,
    mask: Any,
    verbose: bool = False,  # noqa: ARG001 - the assignment's own argument
    *,
    masked: bool = True,
    by: Callable[[Array], float] | None = None,
    dx_masked: bool = True,
    dx_by: Callable[[Array], float] | None = None,
    one_hot: int = 1,
) -> Any:
    """Softmax loss over the words that count, divided by N; ``by`` and ``dx_by`` divide by more."""
    N, T, _ = x.shape
    m = np.asarray(mask, x.dtype)
    shifted = x - x.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    places = np.arange(N)[:, None], np.arange(T), y
    loss = -np.sum(log_p[places] * (m if masked else 1)) / (by or batch)(m)
    dx = np.exp(log_p)
    dx[places] -= one_hot
    dx *= (m if dx_masked else np.ones_like(m))[:, :, None] / (dx_by or by or batch)(m)
    return loss, dx


def batch(mask: Array) -> float:
    """N, what the loss is divided by."""
    return float(mask.shape[0])


def batch_squared(mask: Array) -> float:
    """N twice."""
    return batch(mask) ** 2


def positions(mask: Array) -> float:
    """N * T."""
    return float(mask.size)


def words(mask: Array) -> float:
    """How many words count."""
    return float(mask.sum())


def one(_: Array) -> float:
    """Nothing."""
    return 1.0


def rnn_step_forward(
    x: Any,
    prev_h: Any,
    Wx: Any,
    Wh: Any,
    b: Any,
    *,
    act: Callable[[Any], Any] = np.tanh,
    bias: float = 1,
    state: float = 1,
    inputs: float = 1,
    transposed: bool = False,
) -> Any:
    """One tanh step."""
    a = inputs * (x @ Wx) + state * (prev_h @ (Wh.T if transposed else Wh)) + bias * b
    next_h = act(a)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def rnn_step_backward(
    dnext_h: Any,
    cache: Any,
    *,
    derivative: Callable[[Any], Any] = lambda h: 1 - h * h,
    transposed: bool = True,
    own_state: bool = False,
) -> Any:
    """Backward of `rnn_step_forward`."""
    x, prev_h, Wx, Wh, next_h = cache
    x, prev_h = (np.broadcast_to(v, (len(next_h), w.shape[0])) for v, w in ((x, Wx), (prev_h, Wh)))
    da = dnext_h * derivative(next_h)
    left = next_h if own_state else prev_h
    return da @ Wx.T, da @ (Wh.T if transposed else Wh), x.T @ da, left.T @ da, da.sum(axis=0)


def rnn_forward(
    x: Any,
    h0: Any,
    Wx: Any,
    Wh: Any,
    b: Any,
    *,
    carried: bool = True,
    order: int = 1,
    step: Callable[..., Any] = rnn_step_forward,
) -> Any:
    """Tanh steps one after the other."""
    h, hs, caches = h0, [], []
    for t in range(x.shape[1])[::order]:
        h, cache = step(x[:, t], h if carried else h0, Wx, Wh, b)
        hs.append(h)
        caches.append(cache)
    return np.stack(hs[::order], axis=1), caches


def rnn_backward(
    dh: Any,
    cache: Any,
    *,
    through: float = 1,
    upstream: float = 1,
    step: Callable[..., Any] = rnn_step_backward,
) -> Any:
    """Backward of `rnn_forward`; ``through`` scales what comes from the step after."""
    dprev, grads = np.zeros_like(dh[:, 0]), []
    for t in reversed(range(dh.shape[1])):
        grads.append(step(upstream * dh[:, t] + through * dprev, cache[t]))
        dprev = grads[-1][1]
    return sequence_gradients(grads, state=1)


def sequence_gradients(grads: list[Any], *, state: int) -> Any:
    """Put the gradients of the steps, last step first, together to those of the sequence."""
    dx = np.stack([g[0] for g in reversed(grads)], axis=1)
    return dx, grads[-1][state], *(sum(g[k] for g in grads) for k in (-3, -2, -1))


def lstm_step_forward(
    x: Any,
    prev_h: Any,
    prev_c: Any,
    Wx: Any,
    Wh: Any,
    b: Any,
    *,
    order: str = GATES,
    acts: Sequence[Callable[[Any], Any]] = (sigmoid, sigmoid, sigmoid, np.tanh),
    out: Callable[[Any], Any] = np.tanh,
    bias: float = 1,
    state: float = 1,
    inputs: float = 1,
    cell: Callable[..., Any] = lambda i, f, g, c: f * c + i * g,
) -> Any:
    """One LSTM step."""
    a = inputs * (x @ Wx) + state * (prev_h @ Wh) + bias * b
    parts = dict(zip(order, np.split(a, 4, axis=-1), strict=True))
    i, f, o, g = (act(parts[name]) for act, name in zip(acts, GATES, strict=True))
    next_c = cell(i, f, g, prev_c)
    next_h = o * out(next_c)
    return next_h, next_c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c)


def lstm_step_backward(
    dnext_h: Any,
    dnext_c: Any,
    cache: Any,
    *,
    order: str = GATES,
    through_h: float = 1,
    upstream_c: float = 1,
    derivatives: str = "ifogc",
    own_cell: bool = False,
    forget: bool = True,
    own_state: bool = False,
) -> Any:
    """Backward of `lstm_step_forward`; ``derivatives`` names the nonlinearities that have one."""
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    N = len(next_c)
    x, prev_h = (np.broadcast_to(v, (N, w.shape[0])) for v, w in ((x, Wx), (prev_h, Wh)))
    tanh_c = np.tanh(next_c)
    slope = 1 - tanh_c**2 if "c" in derivatives else 1
    dc = upstream_c * dnext_c + through_h * dnext_h * o * slope
    d = {
        "i": dc * g,
        "f": dc * (next_c if own_cell else prev_c),
        "o": dnext_h * tanh_c,
        "g": dc * i,
    }
    for name, gate in zip("ifo", (i, f, o), strict=True):
        d[name] = d[name] * (gate * (1 - gate) if name in derivatives else 1)
    d["g"] = d["g"] * (1 - g * g if "g" in derivatives else 1)
    da = np.concatenate([d[name] for name in order], axis=1)
    left = o * tanh_c if own_state else prev_h
    dprev_c = dc * f if forget else dc
    return da @ Wx.T, da @ Wh.T, dprev_c, x.T @ da, left.T @ da, da.sum(axis=0)


def lstm_forward(
    x: Any,
    h0: Any,
    Wx: Any,
    Wh: Any,
    b: Any,
    *,
    c0: str = "zero",
    carried_h: bool = True,
    carried_c: bool = True,
    step: Callable[..., Any] = lstm_step_forward,
) -> Any:
    """LSTM steps one after the other, from a cell state of zero."""
    starts = {"zero": np.zeros_like(h0), "h0": h0, "one": np.ones_like(h0)}
    h, c, hs, caches = h0, starts[c0], [], []
    for t in range(x.shape[1]):
        h_in, c_in = h if carried_h else h0, c if carried_c else starts[c0]
        h, c, cache = step(x[:, t], h_in, c_in, Wx, Wh, b)
        hs.append(h)
        caches.append(cache)
    return np.stack(hs, axis=1), caches


def lstm_backward(
    dh: Any,
    cache: Any,
    *,
    through_h: float = 1,
    through_c: float = 1,
    upstream: float = 1,
    step: Callable[..., Any] = lstm_step_backward,
) -> Any:
    """Backward of `lstm_forward`."""
    dprev_h = dprev_c = np.zeros_like(dh[:, 0])
    grads = []
    for t in reversed(range(dh.shape[1])):
        dnext_h = upstream * dh[:, t] + through_h * dprev_h
        grads.append(step(dnext_h, through_c * dprev_c, cache[t]))
        dprev_h, dprev_c = grads[-1][1:3]
    return sequence_gradients(grads, state=1)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        affine_forward,
        affine_backward,
        temporal_affine_forward,
        temporal_affine_backward,
        word_embedding_forward,
        word_embedding_backward,
        temporal_softmax_loss,
        rnn_step_forward,
        rnn_step_backward,
        rnn_forward,
        rnn_backward,
        lstm_step_forward,
        lstm_step_backward,
        lstm_forward,
        lstm_backward,
        sigmoid,
        relu,
    )
}
