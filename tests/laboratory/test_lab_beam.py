"""The tree holds what the search kept, and its leaves are what the search found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lab_models import END, START, VOCABULARY, features_of, make_model

from unrolled.decoding import beam_search
from unrolled.errors import InputError
from unrolled.laboratory import beam_tree

CELLS = ["rnn", "lstm", "attention"]
searches = st.fixed_dictionaries(
    {
        "width": st.sampled_from([1, 2, 3, 4]),
        "max_length": st.integers(1, 6),
        "length_norm": st.sampled_from([0.0, 1.0]),
    }
)


def caption_at(tree, node):
    return tuple(VOCABULARY[tree.words[each]] for each in tree.path(node))


@settings(max_examples=30)
@given(seed=st.integers(0, 50), cell=st.sampled_from(CELLS), options=searches)
def test_the_leaves_are_what_the_search_found(seed, cell, options):
    model = make_model(cell, seed=seed)
    features = features_of(model, 1, seed)
    (found,) = beam_search(model, features, **options)
    tree = beam_tree(model, features, **options)
    for rank, hypothesis in enumerate(found):
        (node,) = np.flatnonzero(tree.rank == rank)
        said = hypothesis.words + ((END,) if hypothesis.finished else ())
        assert caption_at(tree, node) == said
        assert tree.total[node] == hypothesis.log_prob
    assert tree.rank.max() == len(found) - 1
    ways = {node for end in np.flatnonzero(tree.rank >= 0) for node in (0, *tree.path(end))}
    assert set(np.flatnonzero(tree.kept)) == ways


@settings(max_examples=20)
@given(seed=st.integers(0, 50), options=searches)
def test_each_node_is_a_word_after_its_parent(seed, options):
    model = make_model(seed=seed)
    features = features_of(model, 1, seed)
    tree = beam_tree(model, features, **options)
    assert (tree.words[0], tree.parent[0], tree.step[0], tree.total[0]) == ("<START>", -1, 0, 0)
    assert np.bincount(tree.step).max() <= options["width"]
    assert (tree.parent[1:] < np.arange(1, len(tree.words))).all()
    assert (tree.step[1:] == tree.step[tree.parent[1:]] + 1).all()
    for node in range(1, len(tree.words)):
        state, word = model.start(features), START
        for said in caption_at(tree, node):
            scores, state = model.step(np.array([word]), state)
            log_p, word = scores[0, said] - np.log(np.exp(scores[0]).sum()), said
        assert tree.log_p[node] == pytest.approx(log_p, abs=1e-9)


def test_groups_grow_one_tree():
    model = make_model(seed=5)
    options = {"width": 4, "groups": 2, "diversity": 0.5, "max_length": 5}
    (found,) = beam_search(model, features_of(model, 1), **options)
    tree = beam_tree(model, features_of(model, 1), **options)
    assert sorted(tree.rank[tree.rank >= 0]) == list(range(len(found)))


def test_being_watched_changes_nothing():
    model = make_model(seed=2)
    features, steps = features_of(model, 3), []
    watched = beam_search(model, features, width=3, max_length=6, on_step=steps.append)
    assert watched == beam_search(model, features, width=3, max_length=6)
    assert steps[0].images.tolist() == [0, 1, 2]
    assert all(step.words.shape == step.parents.shape == (len(step.images), 3) for step in steps)


def test_one_image_only():
    model = make_model()
    with pytest.raises(InputError, match="one image, got 2"):
        beam_tree(model, features_of(model))
