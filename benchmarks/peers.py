"""Who is measured beside Unrolled, in which work, and how far their outcomes may be off."""

from __future__ import annotations

from functools import partial

from benchmarks import decoders, epochs, pytorch, usual
from unrolled.jobs.bench import Setting, Work, ours_alone
from unrolled.jobs.bench.ours import LOSS, OTHER_LOSS, OTHER_WORDS

LAYOUTS = ("all", "valid", "packed")
TORCH = "torch"
USUAL_WORDS = 4000
"""The usual solution's largest vocabulary in the plot; of more it takes too many seconds."""


def settings(work: Work) -> list[Setting]:
    """List everybody who does a work, ours first."""
    return [*ours_alone(work), *PEERS[work.task](work)]


def _steps(work: Work) -> list[Setting]:
    found = []
    if work.part != "plot" or work.sizes.V <= USUAL_WORDS:
        found.append(Setting("assignment's usual", "usual", usual.step, 1e-4))
    for precision, autocast in (("float32", False), ("bfloat16", True)):
        for layout in LAYOUTS:
            make = partial(pytorch.step, layout=layout, autocast=autocast)
            name = f"torch {layout} {precision}"
            found.append(Setting(name, TORCH, make, LOSS[precision]))
        if work.part == "step":  # a process of its own, which holds nothing else compiled
            make = partial(pytorch.step, layout="valid", autocast=autocast, compiled=True)
            name = f"torch compiled {precision}"
            found.append(Setting(name, name, make, LOSS[precision]))
    return found


def _epochs(_work: Work) -> list[Setting]:
    return [
        Setting(
            f"torch {layout} {precision}",
            TORCH,
            partial(epochs.epoch, layout=layout, autocast=precision == "bfloat16"),
            OTHER_LOSS[precision],
        )
        for precision in ("float32", "bfloat16")
        for layout in ("valid", "packed")
    ]


def _decoders(_work: Work) -> list[Setting]:
    by_torch = [
        Setting(
            f"torch {'LSTMCell' if cell else 'LSTM'} {dtype}",
            TORCH,
            partial(decoders.by_torch, dtype=dtype, cell=cell),
            OTHER_WORDS[dtype],
        )
        for dtype in ("float32", "bfloat16")
        for cell in (True, False)
    ]
    return [*by_torch, Setting("onnxruntime", "onnx", decoders.by_onnx, OTHER_WORDS["float32"])]


def _products(_work: Work) -> list[Setting]:
    return [
        Setting(f"torch {dtype}", TORCH, partial(pytorch.multiply, dtype=dtype), 0)
        for dtype in ("float32", "bfloat16")
    ]


PEERS = {"step": _steps, "epoch": _epochs, "decode": _decoders, "product": _products}
