"""Faults to plant in the right solution: what is replaced, where, and what must be diagnosed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

SOLUTION = Path(__file__).parent / "solution" / "cs231n"
LAYERS, MODEL = "rnn_layers.py", "classifiers/rnn.py"
TORCH_LAYERS, TORCH_MODEL = "rnn_layers_pytorch.py", "classifiers/rnn_pytorch.py"


class Fault(NamedTuple):
    """One fault: in a function of a file, a text and what stands in its place."""

    code: str
    function: str
    old: str
    new: str
    file: str = LAYERS
    status: str = "fail"

    @property
    def id(self) -> str:
        """A name for the test."""
        new = re.sub(r"\W+", "_", self.new)[:30]
        return f"{self.function}-{self.code}-{new}"


def planted(fault: Fault) -> str:
    """Give the file's text with the fault in it, and in that function alone."""
    text = (SOLUTION / fault.file).read_text(encoding="utf-8")
    start = text.index(f"def {fault.function.rpartition('.')[2]}(")
    indent = "    " if "." in fault.function else ""
    end = re.compile(rf"^{indent}(def|class) ", re.MULTILINE).search(text, start + 5)
    stop = end.start() if end else len(text)
    body = text[start:stop]
    assert fault.old in body, f"{fault.old!r} is not in {fault.function}"
    return text[:start] + body.replace(fault.old, fault.new) + text[stop:]


def forward(code: str, function: str, old: str, new: str, status: str = "fail") -> Fault:
    return Fault(code, function, old, new, LAYERS, status)


FORWARD = [
    Fault("no-nonlinearity", "rnn_step_forward", "np.tanh(a)", "a"),
    Fault("wrong-nonlinearity", "rnn_step_forward", "np.tanh(a)", "sigmoid(a)"),
    Fault("bias-ignored", "rnn_step_forward", " + b\n", "\n"),
    Fault("state-ignored", "rnn_step_forward", " + prev_h.dot(Wh)", ""),
    Fault("weights-transposed", "rnn_step_forward", "prev_h.dot(Wh)", "prev_h.dot(Wh.T)"),
    Fault(
        "argument-changed", "rnn_step_forward", "    cache = ", "    prev_h += next_h\n    cache = "
    ),
    Fault("hard-coded-size", "rnn_step_forward", "np.tanh(a)", "np.tanh(a) + np.zeros((3, 1))"),
    Fault("not-repeatable", "rnn_step_forward", "    a = ", "    a = np.random.rand() * 1e-4 + "),
    Fault("returns-none", "rnn_step_forward", "    return next_h, cache\n", ""),
    Fault("returns-none", "rnn_step_forward", "return next_h, cache", "return None, cache"),
    Fault("wrong-count", "rnn_step_forward", "return next_h, cache", "return next_h"),
    Fault(
        "dtype-widened", "rnn_step_forward", "np.tanh(a)", "np.tanh(a.astype(float))", status="pass"
    ),
    Fault(
        "overflow",
        "rnn_step_forward",
        "np.tanh(a)",
        "(np.exp(a) - np.exp(-a)) / (np.exp(a) + np.exp(-a))",
    ),
    Fault("undefined-name", "rnn_step_forward", "np.tanh(a)", "np.tanh(A)", status="error"),
    Fault(
        "python2",
        "rnn_step_forward",
        "    a = ",
        "    for _ in xrange(3): pass\n    a = ",
        status="error",
    ),
    Fault("raises", "rnn_step_forward", "x.dot(Wx)", "Wx.dot(x)", status="error"),
    Fault(
        "recurrence-lost",
        "rnn_forward",
        "prev_h, step = rnn_step_forward(x[:, t, :], prev_h,",
        "prev_h, step = rnn_step_forward(x[:, t, :], h0,",
    ),
    Fault("initial-state-ignored", "rnn_forward", "prev_h = h0", "prev_h = np.zeros_like(h0)"),
    Fault("time-reversed", "rnn_forward", "range(T)", "reversed(range(T))"),
    Fault("hard-coded-size", "rnn_forward", "N, T, D = x.shape", "N, T, D = x.shape\n    N = 2"),
    Fault("hard-coded-size", "rnn_forward", "N, T, D = x.shape", "N, T, D = x.shape\n    T = 3"),
    Fault("axes-swapped", "rnn_forward", "return h, cache", "return h.transpose(1, 0, 2), cache"),
    Fault("dtype-widened", "rnn_forward", ", dtype=x.dtype", "", status="pass"),
    Fault("dtype-narrowed", "rnn_forward", "dtype=x.dtype", "dtype=np.float32", status="pass"),
    Fault("wrong-shape", "word_embedding_forward", "W[x]", "W[x[:, 0]]"),
    Fault(
        "gate-order",
        "lstm_step_forward",
        "o = sigmoid(a[:, 2 * H : 3 * H])\n    g = np.tanh(a[:, 3 * H :])",
        "g = np.tanh(a[:, 2 * H : 3 * H])\n    o = sigmoid(a[:, 3 * H :])",
    ),
    Fault(
        "gate-order",
        "lstm_step_forward",
        "i = sigmoid(a[:, :H])\n    f = sigmoid(a[:, H : 2 * H])",
        "f = sigmoid(a[:, :H])\n    i = sigmoid(a[:, H : 2 * H])",
    ),
    Fault(
        "integer-division",
        "lstm_step_forward",
        "H = prev_h.shape[1]",
        "H = Wx.shape[1] / 4",
        status="error",
    ),
    Fault("wrong-nonlinearity", "lstm_step_forward", "g = np.tanh(", "g = sigmoid("),
    Fault("no-nonlinearity", "lstm_step_forward", "next_h = o * tanh_c", "next_h = o * next_c"),
    Fault("gates-mixed", "lstm_step_forward", "f * prev_c + i * g", "prev_c + i * g"),
    Fault("bias-ignored", "lstm_step_forward", " + b\n", "\n"),
    Fault(
        "outputs-swapped",
        "lstm_step_forward",
        "return next_h, next_c, cache",
        "return next_c, next_h, cache",
    ),
    Fault(
        "wrong-count", "lstm_step_forward", "return next_h, next_c, cache", "return next_h, cache"
    ),
    Fault("cell-state-initial", "lstm_forward", "h0, np.zeros_like(h0)", "h0, h0"),
    Fault("cell-state-lost", "lstm_forward", "prev_h, prev_c, step = ", "prev_h, _, step = "),
    Fault(
        "recurrence-lost",
        "lstm_forward",
        "lstm_step_forward(x[:, t, :], prev_h, prev_c",
        "lstm_step_forward(x[:, t, :], h0, prev_c",
    ),
    Fault("bias-ignored", "temporal_affine_forward", " + b\n", "\n"),
]
BACKWARD = [
    Fault("derivative-missing", "rnn_step_backward", " * (1 - next_h**2)", ""),
    Fault("wrong-state", "rnn_step_backward", "prev_h.T.dot(da)", "next_h.T.dot(da)"),
    Fault("weights-transposed", "rnn_step_backward", "da.dot(Wh.T)", "da.dot(Wh)"),
    Fault("summed-wrong-axis", "rnn_step_backward", "np.sum(da, axis=0)", "np.sum(da, axis=1)"),
    Fault("gradient-averaged", "rnn_step_backward", "np.sum(da, axis=0)", "np.mean(da, axis=0)"),
    Fault("gradient-sign", "rnn_step_backward", "dx = da", "dx = -da"),
    Fault("gradient-doubled", "rnn_step_backward", "dx = da", "dx = 2 * da"),
    Fault(
        "outputs-swapped",
        "rnn_step_backward",
        "return dx, dprev_h, dWx, dWh, db",
        "return dprev_h, dx, dWx, dWh, db",
    ),
    Fault(
        "wrong-count",
        "rnn_step_backward",
        "return dx, dprev_h, dWx, dWh, db",
        "return dx, dprev_h, dWx, dWh",
    ),
    Fault(
        "upstream-changed",
        "rnn_step_backward",
        "da = dnext_h * (1 - next_h**2)",
        "dnext_h *= 1 - next_h**2\n    da = dnext_h",
        status="pass",
    ),
    Fault("argument-changed", "rnn_step_backward", "    da = ", "    x *= 1.0001\n    da = "),
    Fault("upstream-missing", "rnn_backward", "dh[:, t, :] + dprev_h", "dh[:, t, :]"),
    Fault("upstream-doubled", "rnn_backward", "dh[:, t, :] + dprev_h", "dh[:, t, :] + 2 * dprev_h"),
    Fault("steps-lost", "rnn_backward", "dWx += dWx_t", "dWx = dWx_t"),
    Fault("steps-lost", "rnn_backward", "db += db_t", "db = db_t"),
    Fault("wrong-shape", "rnn_backward", "dh0 = dprev_h", "dh0 = dprev_h[0]"),
    Fault("gradient-wrong", "rnn_backward", "dh0 = dprev_h", "dh0 = dprev_h + dh[:, 0]"),
    Fault(
        "repeated-word-lost", "word_embedding_backward", "np.add.at(dW, x, dout)", "dW[x] += dout"
    ),
    Fault(
        "repeated-word-lost", "word_embedding_backward", "np.add.at(dW, x, dout)", "dW[x] = dout"
    ),
    Fault(
        "upstream-missing",
        "lstm_step_backward",
        "dnext_c + dnext_h * o * (1 - tanh_c**2)",
        "dnext_c",
    ),
    Fault("upstream-missing", "lstm_step_backward", "dnext_c + dnext_h", "dnext_h"),
    Fault("upstream-doubled", "lstm_step_backward", "dnext_c + dnext_h", "2 * dnext_c + dnext_h"),
    Fault("derivative-missing", "lstm_step_backward", "di * i * (1 - i)", "di"),
    Fault("derivative-missing", "lstm_step_backward", " * (1 - tanh_c**2)", ""),
    Fault("wrong-state", "lstm_step_backward", "dprev_c = dc * f", "dprev_c = dc"),
    Fault(
        "gate-order",
        "lstm_step_backward",
        "do * o * (1 - o), dg * (1 - g**2)",
        "dg * (1 - g**2), do * o * (1 - o)",
    ),
    Fault(
        "upstream-missing",
        "lstm_backward",
        "dh[:, t, :] + dprev_h, dprev_c",
        "dh[:, t, :] + dprev_h, 0 * dprev_c",
    ),
    Fault("upstream-missing", "lstm_backward", "dh[:, t, :] + dprev_h", "dh[:, t, :]"),
    Fault("steps-lost", "lstm_backward", "+= grads", "= grads"),
    Fault(
        "dtype-widened",
        "lstm_backward",
        "dx = np.zeros((N, T, D), dtype=dh.dtype)",
        "dx = np.zeros((N, T, D))",
        status="pass",
    ),
    Fault(
        "gradient-averaged",
        "temporal_affine_backward",
        "dout.sum(axis=(0, 1))",
        "dout.mean(axis=(0, 1))",
    ),
    Fault(
        "summed-wrong-axis", "temporal_affine_backward", "dout.sum(axis=(0, 1))", "dout.sum(axis=0)"
    ),
]
LOSS = [
    Fault(
        "mask-ignored",
        "temporal_softmax_loss",
        "mask_flat = mask.reshape(N * T)",
        "mask_flat = np.ones(N * T)",
    ),
    Fault("mask-ignored", "temporal_softmax_loss", "    dx_flat *= mask_flat[:, None]\n", ""),
    Fault("divided-by-time", "temporal_softmax_loss", "/ N\n    dx_flat", "/ (N * T)\n    dx_flat"),
    Fault(
        "divided-by-words", "temporal_softmax_loss", "/ N\n    dx_flat", "/ mask.sum()\n    dx_flat"
    ),
    Fault("not-averaged", "temporal_softmax_loss", "    dx_flat /= N\n", ""),
    Fault(
        "one-hot-missing",
        "temporal_softmax_loss",
        "    dx_flat[np.arange(N * T), y_flat] -= 1\n",
        "",
    ),
    Fault("overflow", "temporal_softmax_loss", " - np.max(x_flat, axis=1, keepdims=True)", ""),
]
WHOLE = [
    Fault("hard-coded-cell", "CaptioningRNN.loss", 'self.cell_type == "rnn"', "True", MODEL),
    Fault(
        "mask-ignored",
        "CaptioningRNN.loss",
        "captions_out, mask)",
        "captions_out, np.ones_like(mask))",
        MODEL,
    ),
    Fault(
        "hard-coded-null",
        "CaptioningRNN.loss",
        "captions_out != self._null",
        "captions_out != 0",
        MODEL,
    ),
    Fault(
        "captions-not-shifted", "CaptioningRNN.loss", "captions[:, 1:]", "captions[:, :-1]", MODEL
    ),
    Fault("gradient-missing", "CaptioningRNN.loss", 'grads["W_embed"] = ', "_ = ", MODEL),
    Fault(
        "gradient-wrong",
        "CaptioningRNN.loss",
        "affine_backward(dh0, cache_proj)",
        "affine_backward(h0, cache_proj)",
        MODEL,
    ),
    Fault(
        "features-ignored",
        "CaptioningRNN.loss",
        "affine_forward(features, W_proj",
        "affine_forward(0 * features, W_proj",
        MODEL,
    ),
    Fault(
        "hard-coded-start",
        "CaptioningRNN.sample",
        "np.full(N, self._start)",
        "np.full(N, 1)",
        MODEL,
    ),
    Fault(
        "wrong-start",
        "CaptioningRNN.sample",
        "np.full(N, self._start)",
        "np.full(N, self._null)",
        MODEL,
    ),
    Fault(
        "word-not-fed",
        "CaptioningRNN.sample",
        "words = np.argmax(scores, axis=1)\n            captions[:, t] = words",
        "captions[:, t] = np.argmax(scores, axis=1)",
        MODEL,
    ),
    Fault("state-not-kept", "CaptioningRNN.sample", "h, c, _ = lstm", "h, _, _ = lstm", MODEL),
    Fault("hard-coded-cell", "CaptioningRNN.sample", 'self.cell_type == "rnn"', "True", MODEL),
    Fault("returns-none", "CaptioningRNN.sample", "        return captions\n", "", MODEL),
    Fault("hard-coded-size", "CaptioningRNN.sample", "N = features.shape[0]", "N = 4", MODEL),
]
TORCH = [
    Fault(
        "no-nonlinearity",
        "rnn_step_forward",
        "torch.tanh(x @ Wx + prev_h @ Wh + b)",
        "x @ Wx + prev_h @ Wh + b",
        TORCH_LAYERS,
    ),
    Fault("wrong-count", "rnn_step_forward", "return next_h", "return next_h, None", TORCH_LAYERS),
    Fault("recurrence-lost", "rnn_forward", "x[:, t, :], prev_h,", "x[:, t, :], h0,", TORCH_LAYERS),
    Fault("axes-swapped", "rnn_forward", "dim=1", "dim=0", TORCH_LAYERS),
    Fault(
        "graph-broken",
        "rnn_forward",
        "hs.append(prev_h)",
        "hs.append(prev_h.detach())",
        TORCH_LAYERS,
    ),
    Fault(
        "gate-order",
        "lstm_step_forward",
        "o = torch.sigmoid(a[:, 2 * H : 3 * H])\n    g = torch.tanh(a[:, 3 * H :])",
        "g = torch.tanh(a[:, 2 * H : 3 * H])\n    o = torch.sigmoid(a[:, 3 * H :])",
        TORCH_LAYERS,
    ),
    Fault("cell-state-initial", "lstm_forward", "torch.zeros_like(h0)", "h0", TORCH_LAYERS),
    Fault(
        "divided-by-time", "temporal_softmax_loss", "loss.sum() / N", "loss.mean()", TORCH_LAYERS
    ),
    Fault(
        "mask-ignored",
        "temporal_softmax_loss",
        "    loss = loss * mask_flat.float()\n",
        "",
        TORCH_LAYERS,
    ),
    Fault(
        "hard-coded-cell",
        "CaptioningRNN.loss",
        'rnn_forward if self.cell_type == "rnn" else lstm_forward',
        "rnn_forward",
        TORCH_MODEL,
    ),
    Fault(
        "wrong-start",
        "CaptioningRNN.sample",
        "torch.full((N,), self._start)",
        "torch.full((N,), self._null)",
        TORCH_MODEL,
    ),
]
