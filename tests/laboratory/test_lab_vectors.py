"""Neighbours are the largest cosines; the plane is that of the covariance's eigenvectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab_models import VOCABULARY, make_model

from unrolled.errors import InputError, ShapeError
from unrolled.laboratory import neighbours, principal_components, word_map

PLAIN = [word for word in VOCABULARY if not word.startswith("<")]


def test_neighbours_are_the_largest_cosines():
    model = make_model(seed=4)
    W = model.params["W_embed"]
    found = neighbours(model, ["dog", "a"], 2)
    assert found.words == ("dog", "a")
    for word, near, cosines in zip(*found, strict=True):
        u = W[VOCABULARY[word]]
        cosine = {
            other: u @ v / np.sqrt((u @ u) * (v @ v))
            for other in PLAIN
            if other != word
            for v in [W[VOCABULARY[other]]]
        }
        assert list(near) == sorted(cosine, key=lambda each: -cosine[each])
        np.testing.assert_allclose(cosines, sorted(cosine.values(), reverse=True))


def test_a_vector_of_zeros_is_near_to_nothing():
    model = make_model()
    model.params["W_embed"][VOCABULARY["dog"]] = 0
    assert neighbours(model, ["dog"], 2).cosine.tolist() == [[0, 0]]


def test_the_map_has_each_word_once():
    model = make_model(seed=4)
    found = neighbours(model, ["dog", "runs"], 2)
    laid = word_map(model, found)
    assert laid.words[:2] == ("dog", "runs")
    assert sorted(laid.words) == sorted(PLAIN)
    assert laid.of.tolist() == [0, 1, 0]
    assert laid.asked.tolist() == [True, True, False]
    vectors = model.params["W_embed"][[VOCABULARY[word] for word in laid.words]]
    xy, explained = principal_components(vectors, 2)
    np.testing.assert_array_equal(laid.xy, xy)
    np.testing.assert_array_equal(laid.explained, explained)


@given(seed=st.integers(0, 1000), rows=st.integers(3, 9), width=st.integers(2, 7))
def test_components_are_the_covariances_eigenvectors(seed, rows, width):
    x = np.random.default_rng(seed).standard_normal((rows, width)) + 5
    xy, explained = principal_components(x, 2)
    centred = x - x.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    largest = axes[:, ::-1][:, :2]
    np.testing.assert_allclose(np.abs(xy), np.abs(centred @ largest), atol=1e-8)
    np.testing.assert_allclose(explained, values[::-1][:2] / values.sum(), atol=1e-10)
    direction = np.linalg.lstsq(xy, centred, rcond=None)[0]
    strongest = np.take_along_axis(direction, np.abs(direction).argmax(1)[:, None], 1)
    assert (strongest > 0).all()


def test_what_cannot_be_is_refused():
    model = make_model()
    with pytest.raises(InputError, match="does not know 'cat', 'mouse'"):
        neighbours(model, ["dog", "cat", "mouse"])
    with pytest.raises(InputError, match="from 1 to 2, the other words"):
        neighbours(model, ["dog"], 3)
    with pytest.raises(ShapeError, match="more than 2 rows"):
        principal_components(np.ones((2, 5)), 2)
