"""The assignment's usual solution does the same work as ours: same loss, same gradients."""

import numpy as np
import pytest
from benchmarks.usual import loss, step

from unrolled.jobs.bench.cases import Shape, Sizes, made_step
from unrolled.jobs.bench.ours import reference

SHAPE = Shape(7, 6, Sizes(9, 5, 8, 30), 0.6)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_its_loss_and_gradients_are_ours(cell):
    work = made_step("x", SHAPE, cell)
    model = work.model(dtype="float64")
    features, captions = work.features[0].astype(np.float64), work.captions[0]
    wanted, grads = model.loss(features, captions)
    got, found = loss(model.params, cell, features, captions)
    assert got == pytest.approx(float(wanted), rel=1e-12)
    assert found.keys() == grads.keys()
    for name, grad in grads.items():
        np.testing.assert_allclose(found[name], grad, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_its_step_comes_to_the_reference(cell):
    work = made_step("x", SHAPE, cell)
    assert step(work)() == pytest.approx(reference(work), rel=1e-5)
