"""The torch profile's functions, right and plain, for files that expect them and bring them not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def functions() -> dict[str, Callable[..., Any]]:
    """Give the functions by name; torch is imported here, not before.

    Returns
    -------
    dict of str to callable
    """
    import torch

    def affine_forward(x: Any, w: Any, b: Any) -> Any:
        return x.reshape(x.shape[0], -1) @ w + b

    def temporal_affine_forward(x: Any, w: Any, b: Any) -> Any:
        return x @ w + b

    def word_embedding_forward(x: Any, W: Any) -> Any:
        return W[x]

    def rnn_step_forward(x: Any, prev_h: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        return torch.tanh(x @ Wx + prev_h @ Wh + b)

    def lstm_step_forward(x: Any, prev_h: Any, prev_c: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        i, f, o, g = torch.chunk(x @ Wx + prev_h @ Wh + b, 4, dim=-1)
        next_c = torch.sigmoid(f) * prev_c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(next_c), next_c

    def rnn_forward(x: Any, h0: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        h, hs = h0, []
        for t in range(x.shape[1]):
            h = rnn_step_forward(x[:, t], h, Wx, Wh, b)
            hs.append(h)
        return torch.stack(hs, dim=1)

    def lstm_forward(x: Any, h0: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        h, c, hs = h0, torch.zeros_like(h0), []
        for t in range(x.shape[1]):
            h, c = lstm_step_forward(x[:, t], h, c, Wx, Wh, b)
            hs.append(h)
        return torch.stack(hs, dim=1)

    def temporal_softmax_loss(x: Any, y: Any, mask: Any, verbose: bool = False) -> Any:  # noqa: ARG001
        rows = x.reshape(-1, x.shape[-1])
        words = torch.nn.functional.cross_entropy(rows, y.reshape(-1).long(), reduction="none")
        return (words * mask.reshape(-1)).sum() / x.shape[0]

    made = (
        affine_forward,
        temporal_affine_forward,
        word_embedding_forward,
        rnn_step_forward,
        lstm_step_forward,
        rnn_forward,
        lstm_forward,
        temporal_softmax_loss,
    )
    return {f.__name__: f for f in made} | {"sigmoid": torch.sigmoid}
