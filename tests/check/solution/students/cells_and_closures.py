import numpy as np

class _Gates(object):
    """Keeps what the backward pass needs."""
    def __init__(self, **kw):
        self.__dict__.update(kw)

class LSTMCell:
    order = 'ifog'
    def __init__(self, Wx, Wh, b):
        self.Wx, self.Wh, self.b = Wx, Wh, b
    def __call__(self, x, h, c):
        H = h.shape[-1]
        z = x.dot(self.Wx) + h.dot(self.Wh) + self.b
        parts = dict(zip(self.order, np.split(z, 4, axis=1)))
        acts = {k: (np.tanh(v) if k == 'g' else sigm(v)) for k, v in parts.items()}
        new_c = acts['f'] * c + acts['i'] * acts['g']
        tanh_c = np.tanh(new_c)
        saved = _Gates(x=x, h=h, c=c, tanh_c=tanh_c, cell=self, **acts)
        return acts['o'] * tanh_c, new_c, saved

def sigm(v):
    return np.where(v > 0, 1 / (1 + np.exp(-np.abs(v))), np.exp(-np.abs(v)) / (1 + np.exp(-np.abs(v))))

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    return LSTMCell(Wx, Wh, b)(x, prev_h, prev_c)

def lstm_step_backward(dnext_h, dnext_c, cache):
    k = cache
    dc = dnext_h * k.o * (1 - k.tanh_c ** 2) + dnext_c
    dz = np.concatenate([
        dc * k.g * k.i * (1 - k.i),
        dc * k.c * k.f * (1 - k.f),
        dnext_h * k.tanh_c * k.o * (1 - k.o),
        dc * k.i * (1 - k.g ** 2)], axis=1)
    return dz.dot(k.cell.Wx.T), dz.dot(k.cell.Wh.T), dc * k.f, k.x.T.dot(dz), k.h.T.dot(dz), dz.sum(axis=0)

def lstm_forward(x, h0, Wx, Wh, b):
    h, c, outs, caches = h0, np.zeros_like(h0), [], []
    for t in range(x.shape[1]):
        h, c, saved = lstm_step_forward(x[:, t, :], h, c, Wx, Wh, b)
        outs.append(h[:, None, :]); caches.append(saved)
    return np.concatenate(outs, axis=1), caches

def lstm_backward(dh, cache):
    dh = dh.copy()
    T = dh.shape[1]
    dx = np.zeros(dh.shape[:2] + cache[0].x.shape[1:], dtype=dh.dtype)
    dWx, dWh, db = (np.zeros_like(p) for p in (cache[0].cell.Wx, cache[0].cell.Wh, cache[0].cell.b))
    dc = np.zeros_like(dh[:, 0])
    dh0 = None
    for t in reversed(range(T)):
        dx[:, t], dprev, dc, a, b_, c_ = lstm_step_backward(dh[:, t], dc, cache[t])
        dWx += a; dWh += b_; db += c_
        if t > 0:
            dh[:, t - 1] += dprev
        else:
            dh0 = dprev
    return dx, dh0, dWx, dWh, db

rnn_cache = []

def rnn_step_forward(x, prev_h, Wx, Wh, b):
    pre = x.dot(Wx)
    pre += prev_h.dot(Wh)
    pre += b
    np.tanh(pre, out=pre)
    return pre, (x, prev_h, Wx, Wh, pre)

def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, h = cache
    delta = dnext_h.copy()
    delta *= 1 - h ** 2
    return np.dot(delta, Wx.transpose()), np.dot(delta, Wh.transpose()), np.dot(x.transpose(), delta), \
        np.dot(prev_h.transpose(), delta), np.ones(len(delta), dtype=delta.dtype).dot(delta)

def _scan(f, init, xs):
    out = []
    for v in xs:
        init = f(init, v)
        out.append(init)
    return out

def rnn_forward(x, h0, Wx, Wh, b):
    caches = []
    def step(h, xt):
        nh, c = rnn_step_forward(xt, h, Wx, Wh, b)
        caches.append(c)
        return nh
    hs = _scan(step, h0, np.moveaxis(x, 1, 0))
    return np.stack(hs, 1), tuple(caches)

def rnn_backward(dh, cache):
    xs = cache[0][0]
    dx = np.zeros((dh.shape[0], dh.shape[1], xs.shape[1]), dtype=dh.dtype)
    dWx = np.zeros_like(cache[0][2]); dWh = np.zeros_like(cache[0][3]); db = np.zeros(dh.shape[2], dtype=dh.dtype)
    dprev_h = 0.
    for t, step in reversed(list(enumerate(cache))):
        dx[:, t], dprev_h, dwx, dwh, dbb = rnn_step_backward(dh[:, t] + dprev_h, step)
        np.add(dWx, dwx, out=dWx); np.add(dWh, dwh, out=dWh); np.add(db, dbb, out=db)
    return dx, dprev_h, dWx, dWh, db
