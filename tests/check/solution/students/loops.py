import numpy as np
from numba import jit
from past.builtins import xrange
from scipy.special import expit
from cs231n.layers import *
from cs231n.layer_utils import *
from .im2col import im2col_indices


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    N = x.shape[0]
    H = b.shape[0]
    next_h = np.zeros((N, H))
    for n in xrange(N):
        for k in xrange(H):
            s = b[k]
            for d in xrange(x.shape[1]):
                s += x[n, d] * Wx[d, k]
            for j in xrange(H):
                s += prev_h[n, j] * Wh[j, k]
            next_h[n, k] = np.tanh(s)
    cache = (x, prev_h, Wx, Wh, b, next_h)
    return next_h, cache


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, b, next_h = cache
    N, H = dnext_h.shape
    dx = np.zeros(x.shape)
    dprev_h = np.zeros(prev_h.shape)
    dWx = np.zeros(Wx.shape)
    dWh = np.zeros(Wh.shape)
    db = np.zeros(b.shape)
    for n in xrange(N):
        da = dnext_h[n] * (1 - next_h[n] * next_h[n])
        dx[n] = Wx.dot(da)
        dprev_h[n] = Wh.dot(da)
        dWx += np.outer(x[n], da)
        dWh += np.outer(prev_h[n], da)
        db += da
    return dx, dprev_h, dWx, dWh, db


def rnn_forward(x, h0, Wx, Wh, b):
    (N, T, D) = x.shape
    H = h0.shape[1]
    h = np.zeros((N, T + 1, H))
    h[:, -1] = h0
    cache = []
    for t in xrange(T):
        h[:, t], c = rnn_step_forward(x[:, t], h[:, t - 1], Wx, Wh, b)
        cache.append(c)
    return h[:, :T], cache


def rnn_backward(dh, cache):
    N, T, H = dh.shape
    D = cache[0][0].shape[1]
    dx = np.zeros((N, T, D))
    dWx = np.zeros((D, H))
    dWh = np.zeros((H, H))
    db = np.zeros((H,))
    dprev = np.zeros((N, H))
    for t in reversed(xrange(T)):
        dcurr = dh[:, t, :] + dprev
        dx[:, t, :], dprev, dWx_t, dWh_t, db_t = rnn_step_backward(dcurr, cache[t])
        dWx += dWx_t
        dWh += dWh_t
        db += db_t
    return dx, dprev, dWx, dWh, db


def word_embedding_forward(x, W):
    N, T = x.shape
    D = W.shape[1]
    out = np.zeros((N, T, D))
    for i in xrange(N):
        for j in xrange(T):
            out[i, j, :] = W[x[i, j], :]
    return out, (x, W)


def word_embedding_backward(dout, cache):
    x, W = cache
    dW = np.zeros_like(W)
    for idx, word in np.ndenumerate(x):
        dW[word] += dout[idx]
    return dW


@jit(nopython=True)
def sigmoid(x):
    return expit(x.astype(np.float_))


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = np.dot(x, Wx) + np.dot(prev_h, Wh) + b
    i = sigmoid(a[:, 0:H])
    f = sigmoid(a[:, H:2*H])
    o = sigmoid(a[:, 2*H:3*H])
    g = np.tanh(a[:, 3*H:4*H])
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    cache = (x, prev_h, prev_c, Wx, Wh, b, i, f, o, g, next_c, next_h, a)
    return next_h, next_c, cache


def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, b, i, f, o, g, next_c, next_h, a = cache
    N, H = prev_h.shape
    da = np.zeros(a.shape)
    tc = np.tanh(next_c)
    do = tc * dnext_h
    dtc = o * dnext_h
    dnext_c += dtc * (1 - tc ** 2)
    da[:, :H] = dnext_c * g * i * (1 - i)
    da[:, H:2*H] = dnext_c * prev_c * f * (1 - f)
    da[:, 2*H:3*H] = do * o * (1 - o)
    da[:, 3*H:] = dnext_c * i * (1 - g ** 2)
    dprev_c = dnext_c * f
    return da.dot(Wx.T), da.dot(Wh.T), dprev_c, x.T.dot(da), prev_h.T.dot(da), np.sum(da, 0)


def lstm_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    H = h0.shape[1]
    h = np.zeros((N, T, H))
    cache = [None] * T
    c = np.zeros((N, H))
    hh = h0
    for t in xrange(T):
        hh, c, cache[t] = lstm_step_forward(x[:, t], hh, c, Wx, Wh, b)
        h[:, t] = hh
    return h, cache


def lstm_backward(dh, cache):
    N, T, H = dh.shape
    D = cache[0][0].shape[1]
    dx = np.zeros((N, T, D))
    dWx, dWh, db = np.zeros((D, 4*H)), np.zeros((H, 4*H)), np.zeros(4*H)
    dprev_h = np.zeros((N, H))
    dprev_c = np.zeros((N, H))
    for t in range(T)[::-1]:
        dx[:, t], dprev_h, dprev_c, a, bb, c = lstm_step_backward(dh[:, t] + dprev_h, dprev_c, cache[t])
        dWx += a; dWh += bb; db += c
    return dx, dprev_h, dWx, dWh, db


def temporal_affine_forward(x, w, b):
    N, T, D = x.shape
    M = b.shape[0]
    out = x.reshape(N * T, D).dot(w).reshape(N, T, M) + b
    cache = x, w, b, out
    return out, cache


def temporal_affine_backward(dout, cache):
    x, w, b, out = cache
    N, T, D = x.shape
    M = b.shape[0]
    dx = dout.reshape(N * T, M).dot(w.T).reshape(N, T, D)
    dw = dout.reshape(N * T, M).T.dot(x.reshape(N * T, D)).T
    db = dout.sum(axis=(0, 1))
    return dx, dw, db


def temporal_softmax_loss(x, y, mask, verbose=False):
    N, T, V = x.shape
    loss = 0.0
    dx = np.zeros((N, T, V))
    for n in xrange(N):
        for t in xrange(T):
            if not mask[n, t]:
                continue
            top = -np.Inf
            for v in xrange(V):
                top = max(top, x[n, t, v])
            e = np.exp(x[n, t] - top)
            p = e / np.sum(e)
            loss -= np.log(p[y[n, t]])
            dx[n, t] = p
            dx[n, t, y[n, t]] -= 1
    loss /= N
    dx /= N
    return loss, dx
