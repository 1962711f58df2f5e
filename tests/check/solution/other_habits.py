"""Right in the ways of other students: dicts and lists, zeros that widen, old imports."""
from __future__ import print_function, division
from builtins import range
from past.builtins import xrange
import numpy as np
from .fast_layers import conv_forward_fast
from cs231n.gradient_check import eval_numerical_gradient
import matplotlib.pyplot as plt
import tensorflow as tf

def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h, cache = None, None
    next_h = np.tanh(np.dot(x, Wx) + np.dot(prev_h, Wh) + b.reshape(1, -1))
    cache = {'x': x, 'prev_h': prev_h, 'Wx': Wx, 'Wh': Wh, 'next_h': next_h}
    return next_h, cache

def rnn_step_backward(dnext_h, cache):
    print('debug', dnext_h.shape)
    dtanh = (1 - cache['next_h'] ** 2) * dnext_h
    return [dtanh.dot(cache['Wx'].T), dtanh.dot(cache['Wh'].T), cache['x'].T.dot(dtanh), cache['prev_h'].T.dot(dtanh), np.sum(dtanh, axis=0)]

def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    H = b.shape[0]
    h = np.zeros((N, T, H)).astype(np.float)
    cache = []
    x_t = x.transpose(1, 0, 2)
    ht = h0
    for t in xrange(T):
        ht, c = rnn_step_forward(x_t[t], ht, Wx, Wh, b)
        h[:, t] = ht
        cache.append(c)
    return h, cache

def rnn_backward(dh, cache):
    N, T, H = dh.shape
    D = cache[0]['x'].shape[1]
    dx = np.zeros((N, T, D)); dWx = 0; dWh = 0; db = 0; dprev = 0
    for t in range(T)[::-1]:
        dx[:, t], dprev, a, b_, c_ = rnn_step_backward(dh[:, t] + dprev, cache.pop())
        dWx += a; dWh += b_; db += c_
    return dx, dprev, dWx, dWh, db

def word_embedding_forward(x, W):
    N, T = x.shape
    V, D = W.shape
    one_hot = np.zeros((N * T, V))
    one_hot[np.arange(N * T), x.reshape(-1)] = 1
    out = one_hot.dot(W).reshape(N, T, D)
    return out, (x, V, D)

def word_embedding_backward(dout, cache):
    x, V, D = cache
    dW = np.zeros((V, D))
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dW[x[i, j]] += dout[i, j]
    return dW

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    a = x.dot(Wx) + prev_h.dot(Wh) + b
    ai, af, ao, ag = np.array_split(a, 4, axis=1)
    i, f, o, g = sigmoid(ai), sigmoid(af), sigmoid(ao), np.tanh(ag)
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    return next_h, next_c, [i, f, o, g, a, ai, af, ao, ag, Wx, Wh, b, prev_h, prev_c, x, next_c, next_h]

def lstm_step_backward(dnext_h, dnext_c, cache):
    i, f, o, g, a, ai, af, ao, ag, Wx, Wh, b, prev_h, prev_c, x, next_c, next_h = cache
    dnext_c += dnext_h * o * (1 - np.tanh(next_c) ** 2)
    do = dnext_h * np.tanh(next_c)
    di, df, dg, dprev_c = dnext_c * g, dnext_c * prev_c, dnext_c * i, dnext_c * f
    da = np.concatenate((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g ** 2)), axis=1)
    return da.dot(Wx.T), da.dot(Wh.T), dprev_c, x.T.dot(da), prev_h.T.dot(da), da.sum(0)

def lstm_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    N, H = h0.shape
    h = np.zeros((N, T, H))
    ht, ct, cache = h0, 0, []
    for i in range(T):
        ht, ct, n = lstm_step_forward(x[:, i, :], ht, ct, Wx, Wh, b)
        h[:, i, :] = ht
        cache.append(n)
    return h, cache

def lstm_backward(dh, cache):
    N, T, H = dh.shape
    D = cache[0][14].shape[1]
    dx = np.zeros((N, T, D)); dWx = np.zeros((D, 4*H)); dWh = np.zeros((H, 4*H)); db = np.zeros((4*H,))
    dht = 0; dct = 0
    for i in range(T-1, -1, -1):
        dht += dh[:, i, :]
        dxt, dht, dct, a, b, c = lstm_step_backward(dht, dct, cache[i])
        dx[:, i, :] = dxt; dWx += a; dWh += b; db += c
    return dx, dht, dWx, dWh, db
