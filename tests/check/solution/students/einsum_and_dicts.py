from __future__ import print_function, division
from builtins import range
import numpy as np

"""
This file defines layer types that are commonly used for recurrent neural networks.
"""

def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h, cache = None, None
    stacked = np.concatenate((x, prev_h), axis=1)
    W = np.vstack((Wx, Wh))
    score = np.einsum('nd,dh->nh', stacked, W) + b[np.newaxis, :]
    next_h = np.tanh(score)
    cache = {'stacked': stacked, 'W': W, 'score': score, 'D': x.shape[1]}
    return next_h, cache

def rnn_step_backward(dnext_h, cache):
    dscore = dnext_h / np.cosh(cache['score']) ** 2
    dstacked = np.einsum('nh,kh->nk', dscore, cache['W'])
    dW = np.einsum('nk,nh->kh', cache['stacked'], dscore)
    D = cache['D']
    return dstacked[:, :D], dstacked[:, D:], dW[:D], dW[D:], np.einsum('nh->h', dscore)

def rnn_forward(x, h0, Wx, Wh, b):
    hs, caches = [], []
    h = h0
    for xt in x.swapaxes(0, 1):
        h, c = rnn_step_forward(xt, h, Wx, Wh, b)
        hs += [h]
        caches += [c]
    return np.dstack(hs).transpose(0, 2, 1), caches

def rnn_backward(dh, cache):
    N, T, H = dh.shape
    dxs = []
    grads = [0, 0, 0]
    carry = np.zeros((N, H), dtype=dh.dtype)
    while cache:
        step = cache.pop()
        dxt, carry, *w = rnn_step_backward(dh[:, len(cache)] + carry, step)
        dxs.insert(0, dxt)
        grads = [g + wi for g, wi in zip(grads, w)]
    return (np.stack(dxs, axis=1), carry) + tuple(grads)

def word_embedding_forward(x, W):
    V = W.shape[0]
    one_hot = np.eye(V, dtype=W.dtype)[x]
    return np.einsum('ntv,vd->ntd', one_hot, W), one_hot

def word_embedding_backward(dout, cache):
    return np.tensordot(cache, dout, axes=((0, 1), (0, 1)))

def sigmoid(x):
    pos_mask = (x >= 0)
    neg_mask = (x < 0)
    z = np.zeros_like(x)
    z[pos_mask] = np.exp(-x[pos_mask])
    z[neg_mask] = np.exp(x[neg_mask])
    top = np.ones_like(x)
    top[neg_mask] = z[neg_mask]
    return top / (1 + z)

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    a = x @ Wx + prev_h @ Wh + b
    ai, af, ao, ag = np.hsplit(a, 4)
    i, f, o = map(sigmoid, (ai, af, ao))
    g = np.tanh(ag)
    next_c = np.multiply(f, prev_c) + np.multiply(i, g)
    next_h = np.multiply(o, np.tanh(next_c))
    return next_h, next_c, [x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c]

def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    dc = dnext_c + dnext_h * o * (1 - np.square(np.tanh(next_c)))
    da = np.hstack((dc * g * i * (1 - i), dc * prev_c * f * (1 - f),
                    dnext_h * np.tanh(next_c) * o * (1 - o), dc * i * (1 - g ** 2)))
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, prev_h.T @ da, da.sum(0)

def lstm_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    _, H = h0.shape
    h = np.empty((T, N, H))
    cache = {}
    prev = (h0, np.zeros(h0.shape))
    for t in range(T):
        h[t], c, cache[t] = lstm_step_forward(x[:, t], prev[0], prev[1], Wx, Wh, b)
        prev = h[t], c
    return h.transpose(1, 0, 2), cache

def lstm_backward(dh, cache):
    T = len(cache)
    total = None
    dhn, dcn = 0, 0
    dx = [None] * T
    for t in range(T - 1, -1, -1):
        dx[t], dhn, dcn, *ws = lstm_step_backward(dh[:, t] + dhn, dcn, cache[t])
        total = ws if total is None else [a + b for a, b in zip(total, ws)]
    return (np.array(dx).transpose(1, 0, 2), dhn, *total)

def temporal_affine_forward(x, w, b):
    out = np.einsum('ntd,dm->ntm', x, w) + b
    return out, (x, w)

def temporal_affine_backward(dout, cache):
    x, w = cache
    return np.einsum('ntm,dm->ntd', dout, w), np.einsum('ntd,ntm->dm', x, dout), dout.sum(axis=(0, 1))

def temporal_softmax_loss(x, y, mask, verbose=False):
    N, T, V = x.shape
    z = x - x.max(axis=2, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=2, keepdims=True))
    n, t = np.ogrid[:N, :T]
    loss = -(mask * logp[n, t, y]).sum() / N
    dx = np.exp(logp)
    dx[n, t, y] -= 1
    dx *= mask[..., None]
    dx /= N
    if verbose: print('dx: ', dx.shape)
    return loss, dx
