"""Curves are the log's numbers; smoothing is the moving average that its equation says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.laboratory import loss_curve, smooth


@given(
    values=st.lists(st.floats(-10, 10) | st.just(float("nan")), max_size=12),
    share=st.sampled_from([0.0, 0.5, 0.9]),
)
def test_smoothing_is_a_weighted_mean_of_what_came(values, share):
    smoothed = smooth(np.array(values), share)
    came = []
    for value, got in zip(values, smoothed, strict=True):
        if np.isnan(value):
            assert np.isnan(got)
            continue
        came.append(value)
        weights = share ** np.arange(len(came))[::-1]
        assert got == pytest.approx(np.average(came, weights=weights), abs=1e-9)


def test_a_curve_is_the_logs():
    records = [
        {"event": "step", "step": 1, "loss": 5.0},
        {"event": "step", "step": 2, "loss": None},
        {"event": "step", "step": 3, "loss": 3.0},
        {"event": "epoch", "step": 3, "train_loss": 4.0, "scores": {"val_loss": 3.5}},
        {"event": "epoch", "step": 6, "train_loss": 2.0, "scores": {}},
        {"event": "saved", "step": 6},
    ]
    curve = loss_curve(iter(records), "mine", smoothing=0.5)
    assert (curve.name, curve.steps.tolist(), curve.epochs.tolist()) == ("mine", [1, 2, 3], [3, 6])
    np.testing.assert_array_equal(curve.loss, [5, np.nan, 3])
    np.testing.assert_allclose(curve.smoothed, [5, np.nan, (5 * 0.5 + 3) / 1.5])
    np.testing.assert_array_equal(curve.train_loss, [4, 2])
    np.testing.assert_array_equal(curve.val_loss, [3.5, np.nan])


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="mine: no step and no epoch"):
        loss_curve([{"event": "saved", "step": 0}], "mine")
    with pytest.raises(InputError, match=r"in \[0, 1\), got 1"):
        smooth(np.zeros(2), 1)
