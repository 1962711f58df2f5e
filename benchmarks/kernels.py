"""Time a training step of ours and of PyTorch's in interleaved rounds; a harness for development.

python benchmarks/kernels.py --case a b c --cell lstm --rounds 15
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from unrolled import CaptioningRNN, kernels


class Case(NamedTuple):
    N: int
    T: int
    D: int
    W: int
    H: int
    V: int
    valid: float


CASES = {
    "a": Case(25, 16, 512, 256, 512, 1004, 0.70),
    "b": Case(128, 16, 512, 256, 512, 1004, 0.70),
    "c": Case(128, 24, 1280, 512, 512, 8000, 0.55),
}


def make_batch(case: Case, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw features and captions whose words out are valid to the case's share."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((case.N, case.D)).astype(np.float32)
    spread = case.T * min(case.valid, 1 - case.valid)
    lengths = np.rint(rng.uniform(-spread, spread, case.N) + case.valid * case.T).astype(int)
    lengths = np.clip(lengths, 2, case.T)
    captions = rng.integers(4, case.V, (case.N, case.T + 1), dtype=np.int32)
    captions[:, 0] = 1
    captions[np.arange(case.N), lengths] = 2
    captions[np.arange(case.T + 1) > lengths[:, None]] = 0
    return features, captions


def make_model(case: Case, cell: str, precision: str) -> CaptioningRNN:
    """Make our model of a case."""
    words = {"<NULL>": 0, "<START>": 1, "<END>": 2, "<UNK>": 3}
    words |= {str(i): i for i in range(4, case.V)}
    return CaptioningRNN(
        words, case.D, case.W, case.H, cell, seed=1, forget_bias=0.0, precision=precision
    )


def our_step(model: CaptioningRNN, features: np.ndarray, captions: np.ndarray) -> float:
    """Take the loss and all gradients."""
    return float(model.loss(features, captions).loss)


def flops(case: Case, cell: str, captions: np.ndarray) -> float:
    """Count what a step needs: three times the forward's products on valid tokens."""
    P, G = np.count_nonzero(captions[:, 1:]), (4 if cell == "lstm" else 1) * case.H
    tokens = P * (case.W * G + case.H * G + case.H * case.V)
    return 6.0 * (tokens + case.N * case.D * case.H)


def torch_step(
    model: CaptioningRNN, features: np.ndarray, captions: np.ndarray, layout: str, autocast: bool
) -> Callable[[], float]:
    """PyTorch's step with our weights: all tokens, loss on valid ones, or packed sequences."""
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence

    p = {k: torch.from_numpy(v.copy()) for k, v in model.params.items()}
    V, W = p["W_embed"].shape
    H = p["W_proj"].shape[1]
    embed, proj, vocab = nn.Embedding(V, W), nn.Linear(len(p["W_proj"]), H), nn.Linear(H, V)
    lstm = model.cell_type == "lstm"
    rnn = (nn.LSTM if lstm else nn.RNN)(W, H, batch_first=True)

    def ifgo(w: torch.Tensor) -> torch.Tensor:  # our gates are i, f, o, g
        if not lstm:
            return w.t().contiguous() if w.ndim > 1 else w
        i, f, o, g = w.t().chunk(4) if w.ndim > 1 else w.chunk(4)
        return torch.cat([i, f, g, o])

    with torch.no_grad():
        embed.weight.copy_(p["W_embed"])
        proj.weight.copy_(p["W_proj"].t())
        proj.bias.copy_(p["b_proj"])
        vocab.weight.copy_(p["W_vocab"].t())
        vocab.bias.copy_(p["b_vocab"])
        rnn.weight_ih_l0.copy_(ifgo(p["Wx"]))
        rnn.weight_hh_l0.copy_(ifgo(p["Wh"]))
        rnn.bias_ih_l0.copy_(ifgo(p["b"]))
        rnn.bias_hh_l0.zero_()
    parameters = [w for m in (embed, proj, rnn, vocab) for w in m.parameters()]
    x = torch.from_numpy(features)
    words = torch.from_numpy(captions.astype(np.int64))
    words_in, words_out = words[:, :-1].contiguous(), words[:, 1:].contiguous()
    counted = words_out != 0
    lengths = counted.sum(1)
    N = len(x)

    def step() -> float:
        for w in parameters:
            w.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            h0 = proj(x)[None]
            if layout == "packed":
                packed = pack_padded_sequence(
                    embed(words_in), lengths, batch_first=True, enforce_sorted=False
                )
                order = packed.sorted_indices
                state = (h0, torch.zeros_like(h0)) if lstm else h0
                h = rnn(packed, state)[0].data
                y = pack_padded_sequence(
                    words_out, lengths, batch_first=True, enforce_sorted=False
                ).data
                del order
            else:
                state = (h0, torch.zeros_like(h0)) if lstm else h0
                h = rnn(embed(words_in), state)[0]
                if layout == "valid":
                    h, y = h[counted], words_out[counted]
                else:
                    h, y = h.reshape(-1, H), words_out.reshape(-1)
            scores = vocab(h)
        loss = nn.functional.cross_entropy(scores.float(), y, ignore_index=0, reduction="sum") / N
        loss.backward()
        return float(loss.detach())

    return step


def main() -> None:
    """Run and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs="+", default=["a", "b", "c"], choices=CASES)
    parser.add_argument("--cell", nargs="+", default=["lstm"], choices=["lstm", "rnn"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", nargs="*", default=["valid", "packed"])
    parser.add_argument(
        "--cpu-seconds",
        action="store_true",
        help="one thread and its CPU time: steadier than the clock on a busy machine",
    )
    options = parser.parse_args()
    clock = time.perf_counter
    if options.cpu_seconds:
        clock = time.process_time
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    print(kernels.status())
    for name in options.case:
        for cell in options.cell:
            case = CASES[name]
            features, captions = make_batch(case)
            runs: dict[str, Callable[[], float]] = {}
            for precision in ("float32", "bfloat16"):
                model = make_model(case, cell, precision)
                runs[f"ours {precision}"] = partial(our_step, model, features, captions)
            for layout in options.peers:
                for autocast in (False, True):
                    label = f"torch {layout} {'bfloat16' if autocast else 'float32'}"
                    runs[label] = torch_step(model, features, captions, layout, autocast)
            times = interleave(runs, options.rounds, clock)
            needed = flops(case, cell, captions)
            print(f"case {name} {cell}: {needed / 1e9:.2f} GFLOP needed")
            for label, (loss, spent) in times.items():
                middle = statistics.median(spent)
                print(
                    f"  {label:24s} median {middle * 1e3:8.2f} ms  least {min(spent) * 1e3:8.2f} ms"
                    f"  {needed / min(spent) / 1e9:7.0f} GFLOP/s  loss {loss:.4f}"
                )
    print(f"pid {os.getpid()}, cores {len(os.sched_getaffinity(0))}")


def interleave(
    runs: dict[str, Callable[[], float]], rounds: int, clock: Callable[[], float]
) -> dict[str, tuple[float, list[float]]]:
    """Run each in turn, round after round; the loss and the seconds of each round."""
    losses = {label: [run(), run()][0] for label, run in runs.items()}
    spent: dict[str, list[float]] = {label: [] for label in runs}
    for _ in range(rounds):
        for label, run in runs.items():
            start = clock()
            run()
            spent[label].append(clock() - start)
    return {label: (losses[label], spent[label]) for label in runs}


if __name__ == "__main__":
    main()
