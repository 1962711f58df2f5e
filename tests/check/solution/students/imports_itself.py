import numpy as np
from cs231n.rnn_layers import sigmoid

def rnn_step_forward(x, prev_h, Wx, Wh, b, act=np.tanh, verbose=False):
    z = x @ Wx + prev_h @ Wh + b
    return act(z), (x, prev_h, Wx, Wh, act(z))

def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dz = dnext_h * (1 - next_h ** 2)
    return {'dx': dz @ Wx.T, 'dprev_h': dz @ Wh.T, 'dWx': x.T @ dz, 'dWh': prev_h.T @ dz, 'db': dz.sum(0)}

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x @ Wx + prev_h @ Wh + b
    i = sigmoid(a[:, 0 * H: 1 * H]); f = sigmoid(a[:, 1 * H: 2 * H]); o = sigmoid(a[:, 2 * H: 3 * H])
    g = np.tanh(a[:, 3 * H:])
    c = f * prev_c + i * g
    return np.asmatrix(o * np.tanh(c)), c, (i, f, o, g)

def word_embedding_forward(x, W):
    out = []
    for row in x:
        out.append([W[w] for w in row])
    return out, (x, W)

def temporal_affine_forward(x, w, b):
    return np.matmul(x, w) + b, (x, w, b)

def temporal_affine_backward(dout, cache):
    x, w, b = cache
    dx = np.dot(dout, w.T)
    dw = np.zeros_like(w)
    db = np.zeros_like(b)
    for t in range(x.shape[1]):
        dw += x[:, t].T.dot(dout[:, t])
        db += dout[:, t].mean(axis=0)
    return dx, dw, db
