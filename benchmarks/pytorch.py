"""PyTorch's training step, set as well as its users would set it, and its matrix product.

Layouts: ``all`` computes every word of the batch and ignores padding in the loss; ``valid`` takes
the vocabulary layer on valid words only; ``packed`` also the recurrence, by packed sequences.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from unrolled import CaptioningRNN
from unrolled.jobs.bench import Run, Work

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or torch.get_num_threads()))


class Model(nn.Module):
    """The captioning model of torch's own modules, with our weights."""

    def __init__(self, ours: CaptioningRNN, dropout: float = 0.0) -> None:
        super().__init__()
        params = {name: torch.from_numpy(value.copy()) for name, value in ours.params.items()}
        D, H = params["W_proj"].shape
        V, W = params["W_embed"].shape
        self.lstm = ours.cell_type == "lstm"
        self.embed, self.proj, self.vocab = nn.Embedding(V, W), nn.Linear(D, H), nn.Linear(H, V)
        self.rnn = (nn.LSTM if self.lstm else nn.RNN)(W, H, batch_first=True)
        self.drop = nn.Dropout(dropout)
        self.gates = {name: self.reordered(params[name]) for name in ("Wx", "Wh", "b")}
        with torch.no_grad():
            self.embed.weight.copy_(params["W_embed"])
            self.proj.weight.copy_(params["W_proj"].t())
            self.proj.bias.copy_(params["b_proj"])
            self.vocab.weight.copy_(params["W_vocab"].t())
            self.vocab.bias.copy_(params["b_vocab"])
            self.rnn.weight_ih_l0.copy_(self.gates["Wx"])
            self.rnn.weight_hh_l0.copy_(self.gates["Wh"])
            self.rnn.bias_ih_l0.copy_(self.gates["b"])
            self.rnn.bias_hh_l0.zero_()

    def reordered(self, weights: torch.Tensor) -> torch.Tensor:
        """Give gates that we have as i, f, o, g in torch's order i, f, g, o."""
        weights = weights.t() if weights.ndim > 1 else weights
        if not self.lstm:
            return weights.contiguous()
        i, f, o, g = weights.chunk(4)
        return torch.cat([i, f, g, o])

    def start(self, features: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Give the state before the first word."""
        h0 = self.proj(features)[None]
        return (h0, torch.zeros_like(h0)) if self.lstm else h0


class Minibatch(NamedTuple):
    """A minibatch as tensors, made ready before the time is taken; longest caption first."""

    features: torch.Tensor
    words_in: torch.Tensor
    words_out: torch.Tensor
    counted: torch.Tensor
    lengths: torch.Tensor

    @classmethod
    def of(cls, features: np.ndarray, captions: np.ndarray) -> Minibatch:
        """Make one from arrays."""
        x, words = torch.from_numpy(features), torch.from_numpy(captions.astype(np.int64))
        lengths = (words[:, 1:] != 0).sum(1)
        order = torch.argsort(lengths, descending=True)
        x, words, lengths = x[order], words[order], lengths[order]
        longest = int(lengths[0])
        words_out = words[:, 1 : longest + 1].contiguous()
        words_in = words[:, :longest].contiguous()
        return cls(x, words_in, words_out, words_out != 0, lengths)


def loss_of(model: Model, batch: Minibatch, layout: str, autocast: bool) -> torch.Tensor:
    """Loss summed over words, divided by N."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        state = model.start(batch.features)
        x = model.drop(model.embed(batch.words_in))
        if layout == "packed":
            h = model.rnn(pack_padded_sequence(x, batch.lengths, batch_first=True), state)[0].data
            y = pack_padded_sequence(batch.words_out, batch.lengths, batch_first=True).data
        else:
            h, y = model.rnn(x, state)[0], batch.words_out
            if layout == "valid":
                h, y = h[batch.counted], y[batch.counted]
            else:
                h, y = h.flatten(0, 1), y.flatten()
        scores = model.vocab(model.drop(h))
    total = nn.functional.cross_entropy(scores.float(), y, ignore_index=0, reduction="sum")
    return total / len(batch.features)


def step(work: Work, layout: str, autocast: bool, compiled: bool = False) -> Run:
    """Loss and all gradients of every minibatch; the outcome is the mean loss."""
    if compiled:  # after eight models or shapes torch runs a function as it stands, and says little
        torch.compiler.reset()
    model = Model(work.model())
    batches = [Minibatch.of(*pair) for pair in zip(work.features, work.captions, strict=True)]
    loss: Callable[..., torch.Tensor] = torch.compile(loss_of) if compiled else loss_of

    def run() -> float:
        total = 0.0
        for batch in batches:
            model.zero_grad(set_to_none=True)
            value = loss(model, batch, layout, autocast)
            value.backward()
            total += float(value.detach())
        return total / len(batches)

    return run


def multiply(work: Work, dtype: str) -> Run:
    """Multiply two matrices of the work's shape; there is no outcome."""
    M, K, N = work.at
    a = torch.randn(M, K).to(getattr(torch, dtype))
    b = torch.randn(K, N).to(getattr(torch, dtype))

    def run() -> None:
        torch.mm(a, b)

    return run
