"""Unrolled's own settings: its kernels in both precisions, and NumPy's text."""

from __future__ import annotations

from functools import partial

import numpy as np

from unrolled import kernels
from unrolled.captioner import images_together
from unrolled.data import CaptionBatches
from unrolled.decoding import beam_search
from unrolled.jobs.bench.cases import BATCH, LONGEST, NULL, Work
from unrolled.jobs.bench.processes import Run, Setting
from unrolled.layers.product import PRECISIONS, product
from unrolled.training import StepDone, TrainingConfig, train

NUMPY = {"UNROLLED_KERNELS": "numpy"}
"""The environment in which NumPy's text runs."""

LOSS = {"float32": 1e-4, "bfloat16": 2e-2}
"""How far a loss may be from the reference's, relative to it."""

OTHER_LOSS = {"float32": 0.05, "bfloat16": 0.05}
"""The same for an epoch, in which other random numbers drop other states."""

OTHER_WORDS = {"float32": 0.01, "bfloat16": 0.3}
"""The share of captions in which another rounding may come to other words."""

RECIPE = TrainingConfig(epochs=1, batch_size=BATCH, rule="adam", schedule="constant", best_by="x")
DROPOUT = 0.5


def step(work: Work, precision: str) -> Run:
    """Loss and all gradients of every minibatch; the outcome is the mean loss.

    Parameters
    ----------
    work : Work
    precision : str

    Returns
    -------
    Run
    """
    model = work.model(precision)
    pairs = list(zip(work.features, work.captions, strict=True))

    def run() -> float:
        return float(np.mean([float(model.loss(*pair).loss) for pair in pairs]))

    return run


def reference(work: Work) -> float:
    """Give the mean loss in float64, by NumPy's text.

    Parameters
    ----------
    work : Work

    Returns
    -------
    float
        Nats per caption.
    """
    model = work.model(dtype="float64")
    pairs = zip(work.features, work.captions, strict=True)
    return float(np.mean([model.loss(x.astype(np.float64), y).loss for x, y in pairs]))


def decode(work: Work, precision: str) -> Run:
    """Caption the rows; the outcome is the captions as word ids.

    Parameters
    ----------
    work : Work
    precision : str

    Returns
    -------
    Run
    """
    model, (rows,), (width,) = work.model(), work.features, work.at

    def run() -> list[tuple[int, ...]]:
        found, speaker, count = [], model.ready(precision), images_together(width)
        for start in range(0, len(rows), count):
            part = rows[start : start + count]
            found += beam_search(speaker, part, width=width, max_length=LONGEST)
        return [best.words for best, *_ in found]

    return run


def epoch(work: Work, precision: str) -> Run:
    """Train for an epoch as `unrolled train` does; the outcome is the mean loss per token.

    Parameters
    ----------
    work : Work
    precision : str

    Returns
    -------
    Run
    """
    (features,), (captions,), rows = work.features, work.captions, work.rows
    if rows is None:
        raise ValueError("an epoch's work says which photo each caption is about")
    lengths = np.count_nonzero(captions != NULL, axis=1)

    def run() -> float:
        model = work.model(precision)
        model.dropout = DROPOUT
        batches = CaptionBatches(
            captions, lengths, rows, features, BATCH, RECIPE.seed, bucket=False
        )
        nats = tokens = 0.0
        for event in train(
            model, batches, RECIPE, score=lambda: {"x": 0.0}, save=lambda *_: None, null=NULL
        ):
            if isinstance(event, StepDone):
                nats += event.loss * event.tokens
                tokens += event.tokens
        return nats / tokens

    return run


def multiply(work: Work, precision: str) -> Run:
    """Multiply two matrices of the work's shape by our kernels; there is no outcome.

    Parameters
    ----------
    work : Work
    precision : str

    Returns
    -------
    Run
    """
    M, K, N = work.at
    rng = np.random.default_rng(0)
    a = rng.standard_normal((M, K)).astype(np.float32)
    b = rng.standard_normal((K, N)).astype(np.float32)

    def run() -> None:
        product(a, b, precision=precision)

    return run


def settings(work: Work) -> list[Setting]:
    """List our settings for a work.

    Parameters
    ----------
    work : Work

    Returns
    -------
    list of Setting
        Those that run here: without compiled kernels it is NumPy's text alone.
    """
    compiled = kernels.compiled() is not None
    make = {"step": step, "epoch": epoch, "decode": decode, "product": multiply}[work.task]
    wrong = {"epoch": OTHER_LOSS, "decode": OTHER_WORDS}.get(work.task, LOSS)
    found = [
        Setting(f"unrolled {each}", "unrolled", partial(make, precision=each), wrong[each])
        for each in (PRECISIONS if compiled else ())
    ]
    if compiled and work.task == "epoch":
        return found
    text = partial(make, precision="float32")
    return [*found, Setting("unrolled numpy", "numpy", text, wrong["float32"], NUMPY)]
