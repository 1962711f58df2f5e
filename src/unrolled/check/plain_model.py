"""The captioning model in plain NumPy, with a knob for what people get wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from unrolled.check import plain
from unrolled.layers.arrays import Array

Model = dict[str, Any]


def loss(
    case: Model,
    *,
    cell: str | None = None,
    null: int | None = None,
    masked: bool = True,
    shifted: bool = True,
    by: Callable[[Array], float] | None = None,
    features: float = 1,
    swapped: bool = False,
) -> tuple[float, dict[str, Array]]:
    """Give the loss and gradients of a case; the knobs make mistakes.

    Parameters
    ----------
    case : dict
        As `unrolled.check.cases.model_cases` makes it.
    cell, null, masked, shifted, by, features, swapped
        The cell, the padding's id, whether padding counts, what words out are, what divides the
        loss, whether the image counts, and whether words in are the words out.

    Returns
    -------
    loss : float
    grads : dict of str to array
    """
    p = {k: v.astype(np.float64) for k, v in case["params"].items()}
    captions, cell = case["captions"], cell or case["cell"]
    words_in, words_out = captions[:, :-1], captions[:, 1:]
    if not shifted:
        words_out = words_in
    if swapped:
        words_in = captions[:, 1:]
    mask = words_out != (case["words"]["<NULL>"] if null is None else null)
    forward, backward = plain.FUNCTIONS[f"{cell}_forward"], plain.FUNCTIONS[f"{cell}_backward"]
    image = case["features"].astype(np.float64) * features
    h0, proj = plain.affine_forward(image, p["W_proj"], p["b_proj"])
    x, embed = plain.word_embedding_forward(words_in, p["W_embed"])
    h, recurrent = forward(x, h0, p["Wx"], p["Wh"], p["b"])
    scores, vocab = plain.temporal_affine_forward(h, p["W_vocab"], p["b_vocab"])
    total, dscores = plain.temporal_softmax_loss(
        scores, words_out, mask, masked=masked, dx_masked=masked, by=by
    )
    dh, dW_vocab, db_vocab = plain.temporal_affine_backward(dscores, vocab)
    dx, dh0, dWx, dWh, db = backward(dh, recurrent)
    _, dW_proj, db_proj = plain.affine_backward(dh0, proj)
    grads = {"W_vocab": dW_vocab, "b_vocab": db_vocab, "Wx": dWx, "Wh": dWh, "b": db}
    dW_embed = plain.word_embedding_backward(dx, embed)
    return float(total), grads | {"W_embed": dW_embed, "W_proj": dW_proj, "b_proj": db_proj}


def sample(
    case: Model,
    *,
    start: int | None = None,
    fed: bool = True,
    keep_h: bool = True,
    keep_c: bool = True,
    cell_from_h0: bool = False,
    features: float = 1,
    late: bool = False,
) -> Array:
    """Say captions greedily; the knobs make mistakes.

    Parameters
    ----------
    case : dict
        As `unrolled.check.cases.sample_cases` makes it.
    start, fed, keep_h, keep_c, cell_from_h0, features, late
        The first word, whether words are fed back, whether the states are kept, whether c starts
        from h0, whether the image counts, and whether words are scored from the state before.

    Returns
    -------
    (N, max_length) int
    """
    p = case["params"]
    h0 = features * case["features"] @ p["W_proj"] + p["b_proj"]
    h, c = h0, (h0 if cell_from_h0 else np.zeros_like(h0))
    c0 = c
    first = case["words"]["<START>"] if start is None else start
    words = np.full(len(h0), first)
    captions = np.empty((len(h0), case["max_length"]), dtype=np.int64)
    for t in range(case["max_length"]):
        before = h
        x = p["W_embed"][words if fed else np.full(len(h0), first)]
        if case["cell"] == "lstm":
            step = plain.lstm_step_forward
            h, c, _ = step(x, h if keep_h else h0, c if keep_c else c0, p["Wx"], p["Wh"], p["b"])
        else:
            h, _ = plain.rnn_step_forward(x, h if keep_h else h0, p["Wx"], p["Wh"], p["b"])
        scores = (before if late else h) @ p["W_vocab"] + p["b_vocab"]
        words = captions[:, t] = scores.argmax(axis=1)
    return captions
