"""Batches: every caption once, the same each time, and the same again from the middle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data import CaptionBatches, RowsOfFeatures
from unrolled.data.rows import single
from unrolled.errors import DTypeError, InputError, ShapeError


def make(M: int, size: int, seed: int = 0, bucket: bool = True, T: int = 9) -> CaptionBatches:
    rng = np.random.default_rng(M)
    lengths = rng.integers(2, T + 1, M)
    captions = np.zeros((M, T), dtype=np.int64)
    captions[np.arange(T) < lengths[:, None]] = rng.integers(1, 99, lengths.sum())
    features = rng.standard_normal((5, 3)).astype(np.float16)
    return CaptionBatches(captions, lengths, rng.integers(0, 5, M), features, size, seed, bucket)


setups = st.builds(
    make, st.integers(1, 130), st.integers(1, 7), st.integers(0, 2**70), st.booleans()
)


@settings(deadline=None)
@given(batches=setups, epoch=st.integers(0, 5))
def test_every_caption_once_with_its_own_features(batches: CaptionBatches, epoch: int) -> None:
    seen = []
    for at, batch in enumerate(batches.epoch(epoch)):
        assert batch.index == at
        rows = batch.rows
        seen += rows.tolist()
        T = batches.lengths[rows].max()
        np.testing.assert_array_equal(batch.captions, batches.captions[rows, :T])
        assert batch.captions[:, -1].any()
        assert not batches.captions[rows, T:].any()
        np.testing.assert_array_equal(batch.features, batches.features[batches.feature_rows[rows]])
        assert (batch.captions.dtype, batch.features.dtype) == (np.int32, np.float32)
        assert batch.captions.flags.c_contiguous
        assert batch.features.flags.c_contiguous
    assert at + 1 == len(batches)
    assert sorted(seen) == list(range(len(batches.captions)))
    sizes = [len(rows) for rows in batches.order(epoch)]
    assert sum(size != batches.batch_size for size in sizes) <= 1


@settings(deadline=None)
@given(batches=setups, epoch=st.integers(0, 5), data=st.data())
def test_resuming_equals_not_stopping(batches: CaptionBatches, epoch: int, data) -> None:
    start = data.draw(st.integers(0, len(batches)))
    whole = list(batches.epoch(epoch))[start:]
    again = list(batches.epoch(epoch, start))
    assert [b.index for b in again] == list(range(start, len(batches)))
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.captions, other.captions)
        np.testing.assert_array_equal(one.features, other.features)


@pytest.mark.parametrize("bucket", [True, False])
def test_epochs_and_seeds_differ(bucket: bool) -> None:
    orders = {
        tuple(np.concatenate(make(60, 4, seed, bucket).order(epoch)))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(orders) == 4


def test_an_order_that_must_not_change() -> None:
    """A run that was stopped before an upgrade goes on with the same batches after it."""
    order = make(7, 3, seed=1).order(2)
    assert [rows.tolist() for rows in order] == [[4, 1, 2], [3], [6, 5, 0]]


def test_bucketing_saves_padding_and_stays_random() -> None:
    def padding(batches: CaptionBatches) -> float:
        used = sum((b.captions != 0).sum() for b in batches.epoch(0))
        return 1 - used / sum(b.captions.size for b in batches.epoch(0))

    assert padding(make(3000, 16)) < 0.05
    assert padding(make(3000, 16, bucket=False)) > 0.3
    lengths = [b.captions.shape[1] for b in make(3000, 16).epoch(0)]
    assert lengths != sorted(lengths)
    middles = np.array([rows.mean() for rows in make(3000, 16).order(0)])
    assert abs(middles.mean() - 1500) < 150  # batches draw from all over the captions


def test_memory_mapped_and_grid_features(tmp_path) -> None:
    grid = np.random.default_rng(0).standard_normal((5, 4, 3)).astype(np.float16)
    grid.tofile(tmp_path / "grid")
    mapped = np.memmap(tmp_path / "grid", np.float16, "r", shape=grid.shape)
    base = make(11, 4)
    batches = CaptionBatches(base.captions, base.lengths, base.feature_rows, mapped, 4, 0)
    for batch in batches.epoch(0):
        assert batch.features.dtype == np.float32
        np.testing.assert_array_equal(batch.features, grid[base.feature_rows[batch.rows]])
        assert not np.shares_memory(batch.features, mapped)


def with_views(M: int = 40, size: int = 4, seed: int = 0, views: int = 3) -> CaptionBatches:
    base = make(M, size, seed)
    more = [base.features + 100 * number for number in range(1, views)]
    return CaptionBatches(
        base.captions,
        base.lengths,
        base.feature_rows,
        base.features,
        size,
        seed,
        more_views=[each.astype(np.float16) for each in more],
    )


def test_an_epoch_shows_one_view_of_each_photo_and_another_epoch_another() -> None:
    batches = with_views()
    shown = []
    for epoch in range(60):
        drawn = batches.drawn_views(epoch)
        shown.append(drawn)
        for batch in batches.epoch(epoch):
            photos = batches.feature_rows[batch.rows]
            expected = np.stack([batches.views[drawn[photo]][photo] for photo in photos])
            np.testing.assert_array_equal(batch.features, expected)
            assert batch.features.dtype == np.float32
    counts = np.stack([np.bincount(column, minlength=3) for column in np.array(shown).T])
    assert counts.min() > 8  # of 20 expected: every view of every photo is shown


def test_views_are_resumed_and_leave_the_order_as_it_is() -> None:
    batches, plain = with_views(), make(40, 4)
    for epoch in range(3):
        whole = list(batches.epoch(epoch))
        for start in (0, 3, 10):
            for one, other in zip(whole[start:], batches.epoch(epoch, start), strict=True):
                np.testing.assert_array_equal(one.features, other.features)
        for one, other in zip(whole, plain.order(epoch), strict=True):
            np.testing.assert_array_equal(one.rows, other)
    assert plain.drawn_views(0) is None
    assert not np.array_equal(batches.drawn_views(0), with_views(seed=1).drawn_views(0))


def test_views_that_must_not_change() -> None:
    """A run that was stopped before an upgrade goes on with the same views after it."""
    assert with_views(seed=1).drawn_views(2).tolist() == [2, 2, 0, 1, 1]


def test_a_view_of_another_shape_is_refused() -> None:
    base = make(5, 2)
    for view in (base.features[:4], base.features.astype(np.float32)):
        with pytest.raises(ShapeError, match=r"every view must be float16 \(5, 3\) as"):
            CaptionBatches(
                base.captions, base.lengths, base.feature_rows, base.features, 2, 0, True, [view]
            )


def test_every_half_is_the_single_that_numpy_makes_of_it() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    for half in (finite, every, finite.reshape(62, 16, 64)[1:3], finite[::-1].copy()):
        expected = half.astype(np.float32)
        assert single(half).dtype == np.float32
        assert single(half).tobytes() == expected.tobytes()  # the sign of zero too


@settings(deadline=None)
@given(rows=st.lists(st.integers(0, 4), max_size=9), start=st.integers(0, 9))
def test_rows_of_features_are_those_asked_for(rows: list[int], start: int) -> None:
    features = np.random.default_rng(0).standard_normal((5, 2, 3)).astype(np.float16)
    wanted = RowsOfFeatures(features, np.array(rows, int))
    assert len(wanted) == len(rows)
    got = wanted[start : start + 4]
    np.testing.assert_array_equal(got, features[rows[start : start + 4]])
    assert (got.dtype, got.flags.c_contiguous) == (np.float32, True)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"captions": np.zeros(5, int)}, ShapeError, "expected captions (M, T)"),
        ({"features": np.zeros(5)}, ShapeError, "features (P, D)"),
        ({"lengths": np.ones(4, int)}, ShapeError, "must be (5,) as there are 5 captions"),
        ({"captions": np.zeros((5, 9))}, DTypeError, "captions must be integers, got float64"),
        ({"lengths": np.ones(5)}, DTypeError, "lengths must be integers"),
        ({"feature_rows": np.ones(5)}, DTypeError, "rows must be integers"),
        ({"features": np.ones((5, 3), int)}, DTypeError, "features must be floating point"),
        ({"lengths": np.full(5, 10)}, InputError, "lengths must be in [1, 9], got 10 to 10"),
        ({"lengths": np.zeros(5, int)}, InputError, "lengths must be in [1, 9], got 0"),
        ({"feature_rows": np.full(5, 5)}, InputError, "rows must be in [0, 5), got 5"),
        ({"feature_rows": np.full(5, -1)}, InputError, "rows must be in [0, 5), got -1"),
        ({"batch_size": 0}, InputError, "batch_size must be at least 1, got 0"),
        ({"seed": -1}, InputError, "seed must not be negative, got -1"),
    ],
)
def test_wrong_arguments(change, error: type[Exception], message: str) -> None:
    base = make(5, 2)
    arguments = {
        "captions": base.captions,
        "lengths": base.lengths,
        "feature_rows": base.feature_rows,
        "features": base.features,
        "batch_size": 2,
        "seed": 0,
    }
    with pytest.raises(error) as raised:
        CaptionBatches(**(arguments | change))
    assert message in str(raised.value)


def test_wrong_epochs() -> None:
    batches = make(5, 2)
    none = np.zeros(0, int)
    with pytest.raises(InputError, match="there are no captions"):
        CaptionBatches(np.zeros((0, 3), int), none, none, batches.features, 2, 0)
    with pytest.raises(InputError, match=r"start must be in \[0, 3\], got 4"):
        batches.epoch(0, 4)
    with pytest.raises(InputError, match="epochs count from 0, got -1"):
        batches.epoch(-1)
    assert list(batches.epoch(0, 3)) == []
