import torch
from torch import nn

def rnn_step_forward(x, prev_h, Wx, Wh, b):
    with torch.no_grad():
        rec = prev_h @ Wh
    return torch.tanh(x @ Wx + rec + b)

def rnn_forward(x, h0, Wx, Wh, b):
    h = [h0]
    for t in range(x.shape[1]):
        h.append(rnn_step_forward(x[:, t], h[-1], Wx, Wh, b))
    return torch.stack(h[1:]).permute(1, 0, 2)

def word_embedding_forward(x, W):
    emb = nn.Embedding.from_pretrained(W)
    return emb(x)

def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    a = x @ Wx + prev_h @ Wh + b
    i, f, o, g = torch.tensor_split(a, 4, dim=1)
    i, f, o, g = i.sigmoid(), f.sigmoid(), o.sigmoid(), g.sigmoid()
    next_c = f * prev_c + i * g
    return o * torch.tanh(next_c), next_c

def lstm_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h, c = h0, torch.zeros(h0.shape)
    hs = torch.empty(N, T, h0.shape[1])
    for t in range(T):
        h, c = lstm_step_forward(x[:, t], h, c, Wx, Wh, b)
        hs[:, t] = h
    return hs

def temporal_affine_forward(x, w, b):
    return x @ w + b

def temporal_softmax_loss(x, y, mask, verbose=False):
    N, T, V = x.shape
    loss = nn.functional.cross_entropy(x.reshape(N * T, V), y.reshape(-1), reduction='none')
    return (loss * mask.reshape(-1)).mean()
