"""A student's right solution, torch profile; the tests plant faults in it."""

import numpy as np
import torch

from ..rnn_layers_pytorch import *


class CaptioningRNN:
    def __init__(
        self,
        word_to_idx,
        input_dim=512,
        wordvec_dim=128,
        hidden_dim=128,
        cell_type="rnn",
        dtype=torch.float32,
    ):
        if cell_type not in {"rnn", "lstm"}:
            raise ValueError(f'Invalid cell_type "{cell_type}"')
        self.cell_type = cell_type
        self.dtype = dtype
        self.word_to_idx = word_to_idx
        self.idx_to_word = {i: w for w, i in word_to_idx.items()}
        self._null = word_to_idx["<NULL>"]
        self._start = word_to_idx.get("<START>", None)
        self._end = word_to_idx.get("<END>", None)
        V, D, W, H = len(word_to_idx), input_dim, wordvec_dim, hidden_dim
        G = {"lstm": 4, "rnn": 1}[cell_type] * H
        self.params = {
            "W_embed": torch.randn(V, W) / 100,
            "W_proj": torch.randn(D, H) / np.sqrt(D),
            "b_proj": torch.zeros(H),
            "Wx": torch.randn(W, G) / np.sqrt(W),
            "Wh": torch.randn(H, G) / np.sqrt(H),
            "b": torch.zeros(G),
            "W_vocab": torch.randn(H, V) / np.sqrt(H),
            "b_vocab": torch.zeros(V),
        }
        for k, v in self.params.items():
            self.params[k] = v.to(self.dtype)

    def loss(self, features, captions):
        captions_in = captions[:, :-1]
        captions_out = captions[:, 1:]
        mask = captions_out != self._null
        W_proj, b_proj = self.params["W_proj"], self.params["b_proj"]
        W_embed = self.params["W_embed"]
        Wx, Wh, b = self.params["Wx"], self.params["Wh"], self.params["b"]
        W_vocab, b_vocab = self.params["W_vocab"], self.params["b_vocab"]
        h0 = affine_forward(features, W_proj, b_proj)
        x = word_embedding_forward(captions_in, W_embed)
        forward = rnn_forward if self.cell_type == "rnn" else lstm_forward
        h = forward(x, h0, Wx, Wh, b)
        scores = temporal_affine_forward(h, W_vocab, b_vocab)
        return temporal_softmax_loss(scores, captions_out, mask)

    def sample(self, features, max_length=30):
        N = features.shape[0]
        captions = self._null * torch.ones((N, max_length), dtype=torch.long)
        W_proj, b_proj = self.params["W_proj"], self.params["b_proj"]
        W_embed = self.params["W_embed"]
        Wx, Wh, b = self.params["Wx"], self.params["Wh"], self.params["b"]
        W_vocab, b_vocab = self.params["W_vocab"], self.params["b_vocab"]
        h = affine_forward(features, W_proj, b_proj)
        c = torch.zeros_like(h)
        words = torch.full((N,), self._start)
        for t in range(max_length):
            x = word_embedding_forward(words, W_embed)
            if self.cell_type == "rnn":
                h = rnn_step_forward(x, h, Wx, Wh, b)
            else:
                h, c = lstm_step_forward(x, h, c, Wx, Wh, b)
            words = affine_forward(h, W_vocab, b_vocab).argmax(dim=1)
            captions[:, t] = words
        return captions
