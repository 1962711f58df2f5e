"""Captions packed by the extension against NumPy's text, and ids held to their range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from unrolled import kernels
from unrolled.errors import InputError
from unrolled.kernels import choice
from unrolled.kernels import words as words_module
from unrolled.layers.arrays import check_ids
from unrolled.model.words import pack_words

if choice.extension() is None:
    pytest.skip(choice.status().why, allow_module_level=True)

NULL = 0

shapes = st.tuples(st.integers(0, 9), st.integers(2, 8))
captions_of = hnp.arrays(
    st.sampled_from([np.int32, np.int64]), shapes, elements=st.integers(NULL, 3)
)


def ended(captions):
    """The captions with nothing after the first null, as most are."""
    out = captions.copy()
    out[:, 1:][np.cumsum(captions[:, 1:] == NULL, axis=1) > 0] = NULL
    return out


@given(captions=captions_of)
def test_captions_are_packed_as_the_text_does(captions):
    for each in (captions, ended(captions)):
        ours = pack_words(each, NULL, np.dtype(np.float32))
        with pytest.MonkeyPatch.context() as text:
            text.setattr(words_module, "extension", lambda: None)
            want = pack_words(each, NULL, np.dtype(np.float32))
        assert ours.batch_sizes == want.batch_sizes
        assert (ours.counted is None) == (want.counted is None)
        for a, b in zip(ours, want, strict=True):
            np.testing.assert_array_equal(a, b)
        assert ours.weights.dtype == want.weights.dtype == np.float32


def test_only_captions_that_end_once_are_packed_by_the_extension():
    ending = np.array([[1, 2, 3, NULL], [1, 2, NULL, NULL]])
    packed = kernels.pack_captions(ending, NULL)
    np.testing.assert_array_equal(packed.read, [1, 1, 2])
    np.testing.assert_array_equal(packed.said, [2, 2, 3])
    assert kernels.pack_captions(np.array([[1, NULL, 3]]), NULL) is None
    assert kernels.pack_captions(ending[:, ::2], NULL) is None  # not one after the other
    assert kernels.pack_captions(ending.astype(np.int16), NULL) is None
    assert kernels.pack_captions(ending[:, :1].copy(), NULL) is None  # nothing is said


@given(
    ids=hnp.arrays(
        st.sampled_from([np.int64, np.int32, np.int16]),
        st.integers(0, 12),
        elements=st.integers(0, 6),
    )
)
def test_ids_that_there_are(ids):
    for each in (ids, ids[::2]):
        values, places = kernels.distinct(each, 7)
        want = np.unique(each, return_inverse=True)
        np.testing.assert_array_equal(values, want[0])
        np.testing.assert_array_equal(places, want[1])


def test_ids_beyond_the_last_are_refused_before_anything_is_written():
    values, places = np.full((2, 2), -1)
    with pytest.raises(ValueError, match="ids must lie in"):
        choice.extension().distinct(np.array([0, 7]), 7, values, places)
    with pytest.raises(ValueError, match="room for all"):
        choice.extension().distinct(np.array([0, 1, 2]), 7, values, places)
    assert (values == -1).all()
    assert (places == -1).all()


@given(
    ids=hnp.arrays(
        st.sampled_from([np.int64, np.int32, np.uint8, np.uint64]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        elements=st.integers(0, 9),
    ),
    size=st.integers(0, 10),
)
def test_ids_are_held_to_their_range(ids, size):
    inside = all(0 <= each < size for each in ids.ravel().tolist())
    assert kernels.ids_within(ids, size) == inside
    assert kernels.ids_within(ids.T, size) == inside


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("wrong", [-1, 5, np.iinfo(np.int32).min, np.iinfo(np.int32).max])
def test_an_id_outside_is_named(dtype, wrong):
    ids = np.array([0, 4, wrong, 1], dtype)
    with pytest.raises(InputError, match=f"holds the id {wrong},"):
        check_ids("here", ids, 5)
    with pytest.raises(InputError, match=f"holds the id {wrong},"):
        check_ids("here", ids[::2], 5)
