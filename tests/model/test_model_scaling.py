"""Features that a model standardises: measured once, undone nowhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import CaptioningRNN
from unrolled.errors import InputError, ShapeError
from unrolled.layers.scaling import FeatureScaling

WORDS = {"<NULL>": 0, "<START>": 1, "<END>": 2, "a": 3, "dog": 4}
CAPTIONS = np.array([[1, 3, 4, 2], [1, 4, 2, 0], [1, 3, 3, 2]])


@settings(deadline=None)
@given(
    seed=st.integers(0, 999),
    shape=st.sampled_from([(7, 3), (40, 3), (9, 4, 3)]),
    cuts=st.lists(st.integers(0, 8), max_size=3),  # also parts of nothing
    size=st.sampled_from([1e-6, 1.0, 1e4]),
    far=st.sampled_from([0.0, 100.0]),
)
def test_measured_in_parts_as_at_once(seed, shape, cuts, size, far) -> None:
    rng = np.random.default_rng(seed)
    features = ((rng.standard_normal(shape) + far) * size).astype(np.float32)
    scaling = FeatureScaling.fit(np.split(features, sorted(cuts)))
    rows = features.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(scaling.mean, rows.mean(axis=0), rtol=1e-5, atol=1e-6 * size)
    np.testing.assert_allclose(scaling.scale, 1 / rows.std(axis=0), rtol=1e-5)
    assert scaling.mean.dtype == scaling.scale.dtype == np.float32


def test_what_hardly_moves_is_left_quiet() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((100, 3)).astype(np.float32)
    features[:, 1] = 5
    features[0, 2] = features[1:, 2] = 1
    features[0, 2] += 1e-5
    scaling = FeatureScaling.fit([features])
    seen = scaling.apply(features)
    assert np.abs(seen[:, 1:]).max() < 0.01
    assert np.abs(scaling.apply(features + np.float32(0.01))[:, 1:]).max() < 3
    assert scaling.apply(features[:0]).shape == (0, 3)
    still = FeatureScaling.fit([np.full((4, 2), 3.0, np.float32)])
    np.testing.assert_array_equal(still.scale, 1)
    with pytest.raises(InputError, match="no features to measure"):
        FeatureScaling.fit([])
    with pytest.raises(ShapeError, match=r"must be \(\.\.\., 3\), got \(2, 4\)"):
        scaling.apply(np.zeros((2, 4)))


@pytest.mark.parametrize("cell_type", ["lstm", "attention"])
def test_a_model_that_standardises_is_the_model_on_standardised_features(cell_type: str) -> None:
    rng = np.random.default_rng(1)
    shape = (3, 4, 6) if cell_type == "attention" else (3, 6)
    features = rng.standard_normal(shape)
    model = CaptioningRNN(WORDS, 6, 5, 5, cell_type, np.float64, seed=0)
    scaling = FeatureScaling(
        rng.standard_normal(6).astype(np.float32), rng.uniform(0.1, 9, 6).astype(np.float32)
    )
    expected = model.loss(scaling.apply(features), CAPTIONS)
    said = model.sample(scaling.apply(features), 5)
    plain = model.loss(features, CAPTIONS)
    model.scaling = scaling
    found = model.loss(features, CAPTIONS)
    assert found.loss == expected.loss != plain.loss
    for name, grad in expected.grads.items():
        np.testing.assert_array_equal(found.grads[name], grad)
    np.testing.assert_array_equal(model.sample(features, 5), said)
