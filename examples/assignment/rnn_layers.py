"""Yours to write: the layers of a recurrent captioning network, forward and backward.

A forward returns its output and a cache: a tuple of whatever your backward will need. A backward
takes the derivative of the loss by that output, and the cache, and returns the derivatives by the
forward's arguments, each shaped as its argument, in their order. Change no argument in place, and
let what comes out have the dtype of what went in.

N items, T steps, D numbers in, H hidden, V words, M numbers out.
"""

import numpy as np


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    """One step of a tanh network.

    x (N, D), prev_h (N, H), Wx (D, H), Wh (H, H), b (H,).
    Returns next_h (N, H), cache.
    """
    raise NotImplementedError("rnn_step_forward")


def rnn_step_backward(dnext_h, cache):
    """From dnext_h (N, H): dx, dprev_h, dWx, dWh, db."""
    raise NotImplementedError("rnn_step_backward")


def rnn_forward(x, h0, Wx, Wh, b):
    """Every step of a sequence.

    x (N, T, D), h0 (N, H), weights as in a step.
    Returns h (N, T, H), the state after each step, and cache.
    """
    raise NotImplementedError("rnn_forward")


def rnn_backward(dh, cache):
    """From dh (N, T, H), what each state gets from outside: dx, dh0, dWx, dWh, db."""
    raise NotImplementedError("rnn_backward")


def word_embedding_forward(x, W):
    """A vector for each word.

    x (N, T) integers below V, W (V, D).
    Returns out (N, T, D), cache.
    """
    raise NotImplementedError("word_embedding_forward")


def word_embedding_backward(dout, cache):
    """From dout (N, T, D): dW (V, D). A word may stand in several places."""
    raise NotImplementedError("word_embedding_backward")


def temporal_affine_forward(x, w, b):
    """The same affine layer at each step.

    x (N, T, D), w (D, M), b (M,).
    Returns out (N, T, M), cache.
    """
    raise NotImplementedError("temporal_affine_forward")


def temporal_affine_backward(dout, cache):
    """From dout (N, T, M): dx, dw, db."""
    raise NotImplementedError("temporal_affine_backward")


def temporal_softmax_loss(x, y, mask, verbose=False):
    """Softmax loss, summed over the steps that count and divided by N.

    x (N, T, V) scores, y (N, T) true words, mask (N, T): whether a position counts.
    Returns loss, dx (N, T, V).
    """
    raise NotImplementedError("temporal_softmax_loss")


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    """One step of an LSTM, its gates in the order i, f, o, g.

    x (N, D), prev_h and prev_c (N, H), Wx (D, 4H), Wh (H, 4H), b (4H,).
    Returns next_h (N, H), next_c (N, H), cache.
    """
    raise NotImplementedError("lstm_step_forward")


def lstm_step_backward(dnext_h, dnext_c, cache):
    """From dnext_h and dnext_c (N, H): dx, dprev_h, dprev_c, dWx, dWh, db."""
    raise NotImplementedError("lstm_step_backward")


def lstm_forward(x, h0, Wx, Wh, b):
    """Every step of a sequence, from an empty cell.

    x (N, T, D), h0 (N, H), weights as in a step.
    Returns h (N, T, H), cache.
    """
    raise NotImplementedError("lstm_forward")


def lstm_backward(dh, cache):
    """From dh (N, T, H), what each state gets from outside: dx, dh0, dWx, dWh, db."""
    raise NotImplementedError("lstm_backward")
