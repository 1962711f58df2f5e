"""Learning-rate schedules against hand-worked values and properties."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.errors import InputError
from unrolled.optim import SCHEDULES, learning_rate


def rates(schedule, steps, **keywords):
    plan = {"total_steps": 10, "steps_per_epoch": 4, **keywords}
    return [learning_rate(schedule, 2.0, step, **plan) for step in steps]


def test_hand_worked_values():
    assert rates("constant", [0, 5, 9]) == [2.0, 2.0, 2.0]
    assert rates("linear", [0, 5, 10]) == [2.0, 1.0, 0.0]
    assert rates("cosine", [0, 5, 10]) == pytest.approx([2.0, 1.0, 0.0])
    assert rates("cosine", [2])[0] == pytest.approx(1 + math.cos(math.pi / 5))
    assert rates("step", [0, 3, 4, 7, 8], decay=0.5) == [2.0, 2.0, 1.0, 1.0, 0.5]
    assert rates("exponential", [0, 2, 4, 8], decay=0.25) == [2.0, 1.0, 0.5, 0.125]


def test_the_assignments_decay():
    """Its solver multiplies the rate by .95 after the last step of every epoch."""
    rate, expected = 5e-3, []
    for step in range(60):
        expected.append(rate)
        if (step + 1) % 7 == 0:
            rate *= 0.95
    plan = {"total_steps": 60, "steps_per_epoch": 7}
    ours = [learning_rate("step", 5e-3, step, **plan) for step in range(60)]
    assert ours == pytest.approx(expected, rel=1e-12)


def test_warm_up():
    assert rates("constant", range(6), warmup_steps=4) == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert rates("linear", [0, 3, 4, 7, 10], warmup_steps=4) == [0.5, 2.0, 2.0, 1.0, 0.0]
    assert rates("cosine", [3, 7, 10], warmup_steps=4) == pytest.approx([2.0, 1.0, 0.0])


@settings(deadline=None)
@given(
    schedule=st.sampled_from(sorted(SCHEDULES)),
    total=st.integers(1, 200),
    per_epoch=st.integers(1, 50),
    warmup=st.integers(0, 250),
    decay=st.floats(0.1, 1.0),
)
def test_rates_rise_in_the_warm_up_then_never_again(schedule, total, per_epoch, warmup, decay):
    plan = {"total_steps": total, "steps_per_epoch": per_epoch, "decay": decay}
    all_rates = [
        learning_rate(schedule, 0.1, step, warmup_steps=warmup, **plan) for step in range(total)
    ]
    assert all(0 <= rate <= 0.1 for rate in all_rates)
    after = all_rates[warmup:]
    assert all(b <= a for a, b in itertools.pairwise(after))
    if schedule in {"constant", "linear", "cosine"}:
        before = all_rates[: min(warmup, total)]
        assert all(a < b for a, b in itertools.pairwise(before))


def test_a_step_past_the_end_gets_the_last_rate():
    for schedule in SCHEDULES:
        assert rates(schedule, [10]) == rates(schedule, [11]) == rates(schedule, [1000])


def test_what_cannot_be_right():
    with pytest.raises(InputError, match="no schedule 'cosin'; choose one of constant, cosine"):
        rates("cosin", [0])
    for keywords in ({"total_steps": 0}, {"steps_per_epoch": 0}, {"warmup_steps": -1}):
        with pytest.raises(InputError, match="must be at least"):
            rates("constant", [0], **keywords)
    with pytest.raises(InputError, match="must be at least"):
        rates("constant", [-1])
