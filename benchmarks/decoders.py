"""Greedy and beam decoding by PyTorch and by ONNX Runtime, all rows together, done ones let go."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import nn

from benchmarks.pytorch import Model
from unrolled import CaptioningRNN
from unrolled.decoding import NEVER_SAID
from unrolled.jobs.bench import Run, Work
from unrolled.jobs.bench.cases import LONGEST

Captions = list[tuple[int, ...]]


class Words:
    """The ids that decoding asks about."""

    def __init__(self, model: CaptioningRNN) -> None:
        ids = model.word_to_idx
        self.start, self.end, self.null = ids["<START>"], ids["<END>"], ids["<NULL>"]
        self.never = [ids[word] for word in NEVER_SAID if word in ids]

    def said(self, rows: np.ndarray) -> Captions:
        """Cut captions at their end."""
        return [
            tuple(row[: row.index(self.end)] if self.end in row else row) for row in rows.tolist()
        ]


class Step(nn.Module):
    """One word of every caption: the state and the words to the state and the scores."""

    def __init__(self, ours: CaptioningRNN, cell: bool) -> None:
        super().__init__()
        self.model = Model(ours)
        H = ours.params["W_proj"].shape[1]
        self.cell = nn.LSTMCell(ours.params["Wx"].shape[0], H) if cell else None
        if self.cell:
            with torch.no_grad():
                self.cell.weight_ih.copy_(self.model.gates["Wx"])
                self.cell.weight_hh.copy_(self.model.gates["Wh"])
                self.cell.bias_ih.copy_(self.model.gates["b"])
                self.cell.bias_hh.zero_()

    def forward(
        self, words: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Read one word of each caption and score the next."""
        x = self.model.embed(words)
        if self.cell:
            h, c = self.cell(x, (h, c))
        else:
            _, (h, c) = self.model.rnn(x[:, None], (h[None], c[None]))
            h, c = h[0], c[0]
        return self.model.vocab(h), h, c


def by_torch(work: Work, dtype: str, cell: bool) -> Run:
    """Decode the rows; the outcome is the captions as word ids."""
    ours, (width,) = work.model(), work.at
    words, step = Words(ours), Step(ours, cell).eval().to(getattr(torch, dtype))
    rows = torch.from_numpy(work.features[0]).to(getattr(torch, dtype))

    @torch.inference_mode()
    def run() -> Captions:
        h = step.model.proj(rows)
        return _greedy(step, h, words) if width == 1 else _beam(step, h, words, width)

    return run


def _greedy(step: Step, h: torch.Tensor, words: Words) -> Captions:
    said = torch.full((len(h), LONGEST), words.end)
    alive, c = torch.arange(len(h)), torch.zeros_like(h)
    last = torch.full((len(h),), words.start)
    for t in range(LONGEST):
        scores, h, c = step(last, h, c)
        scores[:, words.never] = -torch.inf
        last = scores.argmax(1)
        said[alive, t] = last
        going = last != words.end
        if not going.all():
            alive, last, h, c = alive[going], last[going], h[going], c[going]
        if not len(alive):
            break
    return words.said(said.numpy())


def _beam(step: Step, h: torch.Tensor, words: Words, K: int) -> Captions:
    N = len(h)
    best = torch.full((N, LONGEST), words.end)
    alive, h = torch.arange(N), h.repeat_interleave(K, 0)
    c = torch.zeros_like(h)
    said = torch.full((N, K, LONGEST + 1), words.start)
    totals = torch.full((N, K), -torch.inf)
    totals[:, 0] = 0
    done = totals.isinf()
    for t in range(LONGEST):
        scores, h, c = step(said[:, :, t].flatten(), h, c)
        V = scores.shape[1]
        log_p = scores.float().log_softmax(1).view(-1, K, V)
        log_p[:, :, words.never] = -torch.inf
        log_p[done] = -torch.inf
        log_p[:, :, words.null].masked_fill_(done, 0.0)
        totals, place = (log_p + totals[:, :, None]).flatten(1).topk(K, dim=1)
        parent, word = place // V, place % V
        rows = (torch.arange(len(place))[:, None] * K + parent).flatten()
        h, c = h[rows], c[rows]
        said = said.gather(1, parent[:, :, None].expand_as(said))
        said[:, :, t + 1] = word
        done = done.gather(1, parent) | (word == words.end) | totals.isinf()
        over = done.all(1) if t < LONGEST - 1 else torch.ones(len(done), dtype=torch.bool)
        if over.any():
            best[alive[over], : t + 1] = said[over, 0, 1 : t + 2]
            kept = ~over
            keep = kept.repeat_interleave(K)
            alive, said, totals, done = alive[kept], said[kept], totals[kept], done[kept]
            h, c = h[keep], c[keep]
        if not len(alive):
            break
    return words.said(best.numpy())


def by_onnx(work: Work) -> Run:
    """Decode by ONNX Runtime: a step is its graph, the search around it is NumPy."""
    import onnxruntime

    ours, (width,) = work.model(), work.at
    words, params, rows = Words(ours), ours.params, work.features[0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        _graph(params, words.never, width), options, providers=["CPUExecutionProvider"]
    )

    def step(last: np.ndarray, h: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
        return session.run(None, {"words": last, "h": h, "c": c})

    def run() -> Captions:
        h = rows @ params["W_proj"] + params["b_proj"]
        search = _onnx_greedy if width == 1 else _onnx_beam
        return words.said(search(step, h, words, width))

    return run


def _onnx_greedy(step: object, h: np.ndarray, words: Words, _width: int) -> np.ndarray:
    said = np.full((len(h), LONGEST), words.end)
    alive, c, last = np.arange(len(h)), np.zeros_like(h), np.full(len(h), words.start)
    for t in range(LONGEST):
        h, c, _, top = step(last, h, c)
        last = top[:, 0]
        said[alive, t] = last
        going = last != words.end
        alive, last, h, c = alive[going], last[going], h[going], c[going]
        if not len(alive):
            break
    return said


def _onnx_beam(step: object, h: np.ndarray, words: Words, K: int) -> np.ndarray:
    N = len(h)
    best = np.full((N, LONGEST), words.end)
    alive, h = np.arange(N), np.repeat(h, K, axis=0)
    c = np.zeros_like(h)
    said = np.full((N, K, LONGEST + 1), words.start)
    totals = np.where(np.arange(K) == 0, 0.0, -np.inf) * np.ones((N, 1))
    totals[np.isnan(totals)] = 0.0
    done = np.isneginf(totals)
    for t in range(LONGEST):
        h, c, log_p, top = step(said[:, :, t].ravel(), h, c)  # the K best words of each hypothesis
        log_p, top = log_p.reshape(-1, K, K).astype(float), top.reshape(-1, K, K)
        log_p[done], top[done] = -np.inf, words.null
        log_p[:, :, 0][done] = 0.0  # a finished caption stays as it is
        sums = (totals[:, :, None] + log_p).reshape(-1, K * K)
        place = np.argsort(-sums, axis=1, kind="stable")[:, :K]
        totals, parent = np.take_along_axis(sums, place, 1), place // K
        word = np.take_along_axis(top.reshape(-1, K * K), place, 1)
        rows = (np.arange(len(place))[:, None] * K + parent).ravel()
        h, c = h[rows], c[rows]
        said = np.take_along_axis(said, parent[:, :, None], 1)
        said[:, :, t + 1] = word
        done = np.take_along_axis(done, parent, 1) | (word == words.end) | np.isneginf(totals)
        over = done.all(axis=1) | (t == LONGEST - 1)
        best[alive[over], : t + 1] = said[over, 0, 1 : t + 2]
        kept, keep = ~over, np.repeat(~over, K)
        alive, said, totals, done = alive[kept], said[kept], totals[kept], done[kept]
        h, c = h[keep], c[keep]
        if not len(alive):
            break
    return best


def _graph(params: dict[str, np.ndarray], never: list[int], width: int) -> bytes:
    """Write a step as an ONNX graph: words, h, c to h, c and the best words with their log p."""
    from onnx import TensorProto, helper, numpy_helper

    mask = np.zeros_like(params["b_vocab"])
    mask[never] = -np.inf
    names = ("W_embed", "Wx", "b", "Wh", "W_vocab", "b_vocab")
    constants = {name: params[name] for name in names}
    constants |= {"mask": mask, "K": np.array([width], np.int64)}
    nodes = [
        helper.make_node("Gather", ["W_embed", "words"], ["x"]),
        helper.make_node("Gemm", ["x", "Wx", "b"], ["ax"]),
        helper.make_node("Gemm", ["h", "Wh", "ax"], ["a"]),
        helper.make_node("Split", ["a"], ["ai", "af", "ao", "ag"], axis=1, num_outputs=4),
        *(helper.make_node("Sigmoid", [f"a{k}"], [k]) for k in "ifo"),
        helper.make_node("Tanh", ["ag"], ["g"]),
        helper.make_node("Mul", ["f", "c"], ["kept"]),
        helper.make_node("Mul", ["i", "g"], ["new"]),
        helper.make_node("Add", ["kept", "new"], ["next_c"]),
        helper.make_node("Tanh", ["next_c"], ["tanh_c"]),
        helper.make_node("Mul", ["o", "tanh_c"], ["next_h"]),
        helper.make_node("Gemm", ["next_h", "W_vocab", "b_vocab"], ["scores"]),
        helper.make_node("LogSoftmax", ["scores"], ["log_p"], axis=1),
        helper.make_node("Add", ["log_p", "mask"], ["allowed"]),
        helper.make_node("TopK", ["allowed", "K"], ["best", "which"], axis=1),
    ]
    if width == 1:  # the order of scores is that of log p
        nodes[-3:] = [
            helper.make_node("Add", ["scores", "mask"], ["allowed"]),
            helper.make_node("TopK", ["allowed", "K"], ["best", "which"], axis=1),
        ]
    F, H = TensorProto.FLOAT, params["Wh"].shape[0]
    graph = helper.make_graph(
        nodes,
        "step",
        [
            helper.make_tensor_value_info("words", TensorProto.INT64, ["N"]),
            *(helper.make_tensor_value_info(name, F, ["N", H]) for name in "hc"),
        ],
        [
            *(helper.make_tensor_value_info(f"next_{name}", F, ["N", H]) for name in "hc"),
            helper.make_tensor_value_info("best", F, ["N", width]),
            helper.make_tensor_value_info("which", TensorProto.INT64, ["N", width]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model.SerializeToString()
