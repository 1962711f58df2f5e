"""rnn layers in torch"""
import math
import torch
import torch.nn.functional as F

def affine_forward(x, w, b):
    out = x.view(x.shape[0], -1) @ w + b
    return out

def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = torch.addmm(b, x, Wx).add(prev_h.mm(Wh)).tanh()
    return next_h

def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.size()
    H = h0.size(1)
    h = torch.zeros(N, T, H, dtype=x.dtype, device=x.device)
    prev_h = h0
    for t in range(T):
        prev_h = rnn_step_forward(x[:, t, :], prev_h, Wx, Wh, b)
        h[:, t, :] = prev_h
    return h

def word_embedding_forward(x, W):
    return F.embedding(x, W)

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[-1]
    gates = x.matmul(Wx) + prev_h.matmul(Wh) + b
    ifo, g = gates.split([3 * H, H], dim=1)
    i, f, o = ifo.sigmoid().chunk(3, dim=1)
    next_c = torch.addcmul(f * prev_c, i, g.tanh())
    return o * next_c.tanh(), next_c

def lstm_forward(x, h0, Wx, Wh, b):
    c0 = h0.new_zeros(h0.shape)
    out = []
    h, c = h0, c0
    for xt in x.unbind(1):
        h, c = lstm_step_forward(xt, h, c, Wx, Wh, b)
        out.append(h.unsqueeze(1))
    return torch.cat(out, 1)

def temporal_affine_forward(x, w, b):
    return torch.einsum("ntd,dm->ntm", x, w) + b

def temporal_softmax_loss(x, y, mask, verbose=False):
    N = x.shape[0]
    logp = F.log_softmax(x, dim=-1)
    nll = -logp.gather(2, y.unsqueeze(-1)).squeeze(-1)
    return (nll * mask.to(x.dtype)).sum() / N
