"""Results are the same to the last bit with any number of threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from compiled_paths import find_path

from unrolled import CaptioningRNN, kernels
from unrolled.layers import vocabulary_loss
from unrolled.model import words

WORDS = {w: i for i, w in enumerate(["<NULL>", "<START>", "<END>", *map(str, range(90))])}


def all_gradients(cell, precision):
    rng = np.random.default_rng(1)
    model = CaptioningRNN(WORDS, 30, 20, 72, cell, seed=2, precision=precision)
    captions = rng.integers(3, len(WORDS), (37, 9))
    captions[np.arange(9) > rng.integers(1, 9, 37)[:, None]] = 0
    loss, grads = model.loss(rng.standard_normal((37, 30)).astype(np.float32), captions)
    return {"loss": np.asarray(loss)} | grads


@pytest.fixture(params=[np.inf, 0], ids=["words read each time", "words read once"])
def reading(request, monkeypatch):
    monkeypatch.setattr(words, "_SPARED", dict.fromkeys((False, True), request.param))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.usefixtures("reading")
def test_the_number_of_threads_does_not_matter(path, cell, precision):
    extension, _ = find_path(path.name)
    results = []
    for count in (1, 2, 3, 7):
        extension.set_threads(count)
        results.append(all_gradients(cell, precision))
    for other in results[1:]:
        for name, value in results[0].items():
            np.testing.assert_array_equal(other[name], value, err_msg=name)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("P", "H", "V"), [(5, 40, 1100), (9, 2500, 1100), (180, 6, 95_000), (300, 40, 900)]
)
def test_the_number_of_threads_does_not_matter_to_the_vocabulary(path, P, H, V, precision):
    """Few rows, chunks of their words, more scores than are collected at a time, many rows."""
    extension, _ = find_path(path.name)
    rng = np.random.default_rng(4)
    h, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((P, H), (H, V), V))
    h[::3] *= 30  # so that these rows are taken again
    y, weights = rng.integers(0, V, P), np.full(P, np.float32(0.1))
    results = []
    for count in (1, 2, 3, 12):
        extension.set_threads(count)
        results.append(vocabulary_loss(h, w, b, y, weights, smoothing=0.1, precision=precision))
    for other in results[1:]:
        for ours, theirs in zip(other, results[0], strict=True):
            assert np.isfinite(theirs).all()
            np.testing.assert_array_equal(ours, theirs)


def test_the_number_of_threads_does_not_matter_to_the_norm(path):
    extension, _ = find_path(path.name)
    x = np.random.default_rng(3).standard_normal(200_001).astype(np.float32)
    sums = set()
    for count in (1, 2, 3, 7):
        extension.set_threads(count)
        sums |= {kernels.sum_of_squares(x) for _ in range(5)}
    assert len(sums) == 1


@pytest.mark.usefixtures("reading")
def test_two_python_threads_may_call_at_once(path):
    want = all_gradients("lstm", "float32")
    got = []
    callers = [
        threading.Thread(target=lambda: got.append(all_gradients("lstm", "float32")))
        for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(got) == 3
    for each in got:
        for name, value in want.items():
            np.testing.assert_array_equal(each[name], value, err_msg=name)


def test_scratch_is_kept_and_does_not_grow(path):
    extension, _ = find_path(path.name)
    all_gradients("lstm", "float32")
    held = extension.scratch_bytes()
    for _ in range(3):
        all_gradients("lstm", "float32")
    assert extension.scratch_bytes() == held > 0


def test_scratch_of_calls_that_become_larger_is_that_of_the_largest(path):
    extension, _ = find_path(path.name)
    rng = np.random.default_rng(0)

    def held_after(*rows):
        extension.release_scratch()
        for count in (*rows, rows[-1]):
            a = rng.standard_normal((count, 2000)).astype(np.float32)
            kernels.product(a, a[:300].T.copy())
        return extension.scratch_bytes()

    assert held_after(300, 700, 900, 1500, 2500) == held_after(2500)
