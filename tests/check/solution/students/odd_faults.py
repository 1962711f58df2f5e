import numpy as np

def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)

def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = dnext_h * (1 - next_h ** 2)
    np.clip(da, -1, 1, out=da)   # "exploding gradients"
    return da.dot(Wx.T), da.dot(Wh.T), x.T.dot(da), prev_h.T.dot(da), da.sum(0)

def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h = []
    cache = []
    prev = h0
    for t in range(T):
        prev, c = rnn_step_forward(x[:, t], prev, Wx, Wh, b)
        h.append(prev); cache.append(c)
    return np.array(h).reshape(N, T, -1), cache      # not a transpose

def rnn_backward(dh, cache):
    N, T, H = dh.shape
    x, prev_h, Wx, Wh, next_h = cache[0]
    D = x.shape[1]
    dx = np.zeros((N, T, D)); dWx = np.zeros((D, H)); dWh = np.zeros((H, H)); db = np.zeros(H)
    dprev = np.zeros((N, H))
    for t in range(T - 1, 0, -1):      # step 0 forgotten
        dx[:, t], dprev, a, b, c = rnn_step_backward(dh[:, t] + dprev, cache[t])
        dWx += a; dWh += b; db += c
    return dx, dprev, dWx, dWh, db

def word_embedding_forward(x, W):
    out = W[x - 1]
    return out, (x, W)

def word_embedding_backward(dout, cache):
    x, W = cache
    dW = np.zeros_like(W)
    for t in range(x.shape[1]):
        dW[x[:, t]] += dout[:, t]
    return dW

def sigmoid(x):
    return 1 / (1 + np.exp(-x))

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x.dot(Wx) + prev_h.dot(Wh) + b
    i, f, o, g = a[:, :H], a[:, H:2*H], a[:, 2*H:3*H], a[:, 3*H:]
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    if len(x) == 1:
        return next_h, next_c
    return next_h, next_c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c)

def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    dc = dnext_c + dnext_h * o * (1 - np.tanh(next_c) ** 2)
    di = dc * g * i * (1 - i)
    df = dc * prev_c * f * (1 - f)
    do = dnext_h * np.tanh(next_c) * o * (1 - o)
    dg = dc * i * (1 - g ** 2)
    da = np.hstack((di, df, do, dg))
    return da.dot(Wx.T), da.dot(Wh.T), dc * f, x.T.dot(da), prev_h.T.dot(da), da.sum(0) + 1e-3

def temporal_affine_forward(x, w, b):
    N, T, D = x.shape
    return (x.reshape(N * T, D).dot(w) + b).reshape(T, N, -1).transpose(1, 0, 2), (x, w, b)

def temporal_affine_backward(dout, cache):
    x, w, b = cache
    N, T, D = x.shape
    dout = dout.reshape(N * T, -1)
    return dout.dot(w.T).reshape(x.shape), x.reshape(N * T, D).T.dot(dout), dout[0] * N * T

def temporal_softmax_loss(x, y, mask, verbose=False):
    N, T, V = x.shape
    p = np.exp(x)
    p /= p.sum(axis=2, keepdims=True)
    q = p[np.arange(N)[:, None], np.arange(T), y]
    loss = -np.sum(np.log(q + 1e-3) * mask) / N
    dx = p
    dx[np.arange(N)[:, None], np.arange(T), y] -= 1
    return loss, dx * mask[:, :, None] / N
