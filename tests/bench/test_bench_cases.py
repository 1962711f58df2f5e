"""What the benchmark gives everybody to do: sizes, shares, lengths and flops."""

import numpy as np
import pytest

from small_world import SHARED
from unrolled.decoding import beam_search
from unrolled.errors import InputError
from unrolled.jobs.bench import Plan
from unrolled.jobs.bench.cases import (
    CASES,
    FLICKR8K_LENGTHS,
    FLICKR8K_WORDS,
    NULL,
    Shape,
    Sizes,
    decoding,
    find_flickr8k,
    flickr8k_captions,
    flickr8k_epoch,
    flickr8k_steps,
    made_step,
    product_shapes,
    shape_of,
)
from unrolled.jobs.bench.plan import works


@pytest.mark.parametrize(("name", "valid"), [("a", 0.70), ("b", 0.70), ("c", 0.55)])
def test_a_made_case_has_its_share_of_valid_words_and_ragged_lengths(name, valid):
    work = made_step(name, CASES[name], "lstm")
    (captions,) = work.captions
    shape = CASES[name]
    assert captions.shape == (shape.N, shape.T + 1)
    assert work.tokens / (shape.N * shape.T) == pytest.approx(valid, abs=0.01)
    lengths = np.count_nonzero(captions[:, 1:] != NULL, axis=1)
    assert len(set(lengths.tolist())) > shape.T // 2
    assert lengths.max() == shape.T
    assert (captions[np.arange(shape.N), lengths] == 2).all()  # the last word out is <END>
    assert captions.max() < shape.sizes.V


def test_sizes_of_ones_own_are_those_of_b_where_they_are_not_given():
    b = CASES["b"]
    assert shape_of("b") is b
    assert shape_of("H=700") == b._replace(sizes=b.sizes._replace(H=700))
    every = "N=3,T=4,D=5,W=6,H=7,V=8,valid=0.9"
    assert shape_of(every) == Shape(3, 4, Sizes(5, 6, 7, 8), 0.9)
    assert shape_of("valid=0.9, V=8,H=7,W=6,D=5,T=4,N=3") == shape_of(every)
    plan = Plan(parts=("step", "limit"), cases=("a", every))
    made = {(work.part, work.case): work for work in works(plan)}
    work = made["step", every]
    assert (work.sizes, work.captions[0].shape) == ((5, 6, 7, 8), (3, 5))
    assert work.tokens == pytest.approx(0.9 * 3 * 4, abs=1)
    assert work.model().params["Wh"].shape == (7, 28)
    assert made["limit", every].at in product_shapes(work)


@pytest.mark.parametrize("smallest", ["N=1,T=2,D=1,W=1,H=1,V=5,valid=0.01", "T=2,valid=1", "V=5"])
def test_the_smallest_sizes_can_be_done(smallest):
    work = made_step(smallest, shape_of(smallest), "lstm")
    assert np.isfinite(work.model().loss(work.features[0], work.captions[0]).loss)


def test_flops_are_those_of_every_product_counted_one_by_one():
    work = made_step("x", Shape(7, 5, Sizes(11, 3, 4, 13), 0.6), "lstm")
    forward = 2 * 7 * 11 * 4
    for _ in range(work.tokens):
        forward += 2 * 3 * 16 + 2 * 4 * 16 + 2 * 4 * 13
    assert work.flops == 3 * forward
    rnn = made_step("x", Shape(7, 5, Sizes(11, 3, 4, 13), 0.6), "rnn")
    assert work.flops - rnn.flops == 3 * work.tokens * 2 * (3 + 4) * 12


def test_flops_of_the_cases_are_those_of_the_references():
    """3.4 and 18.2 GFLOP there, by another draw of the lengths."""
    assert made_step("a", CASES["a"], "lstm").flops == pytest.approx(3.4e9, rel=0.06)
    assert made_step("b", CASES["b"], "lstm").flops == pytest.approx(18.2e9, rel=0.06)


def test_the_products_of_a_step_sum_to_its_flops():
    work = made_step("c", CASES["c"], "lstm")
    products = product_shapes(work)
    D, W, H, V = work.sizes
    assert {(K, N) for _, K, N in products} == {(D, H), (W, 4 * H), (H, 4 * H), (H, V)}
    twice = (H, 4 * H) == (W, 4 * H)  # listed once where two products are of one shape
    total = sum(2 * M * K * N for M, K, N in products)
    total += twice * 2 * work.tokens * H * 4 * H
    assert 3 * total == work.flops


def test_everything_is_the_same_whenever_it_is_made():
    one, other = (made_step("b", CASES["b"], "rnn") for _ in range(2))
    assert np.array_equal(one.captions[0], other.captions[0])
    assert np.array_equal(one.features[0], other.features[0])
    first, second = one.model().params, other.model("bfloat16").params
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_drawn_minibatches_have_the_lengths_of_flickr8k():
    captions, words = flickr8k_captions(None)
    assert words == FLICKR8K_WORDS
    lengths = np.count_nonzero(captions[:, 1:] != NULL, axis=1)
    assert tuple(np.bincount(lengths)) == FLICKR8K_LENGTHS
    work = flickr8k_steps(captions, words, "lstm")
    assert len(work.captions) == len(work.features) == 4
    for each in work.captions:
        used = np.count_nonzero(each[:, 1:] != NULL, axis=1)
        assert (len(each), each.shape[1] - 1) == (128, used.max())


def test_the_distribution_that_is_drawn_from_is_that_of_the_real_captions():
    folder = SHARED / "flickr8k"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    captions, words = flickr8k_captions(folder)
    lengths = np.count_nonzero(captions[:, 1:] != NULL, axis=1)
    assert tuple(np.bincount(lengths)) == FLICKR8K_LENGTHS
    assert words == FLICKR8K_WORDS


def test_an_epoch_says_which_photo_every_caption_is_about():
    work = flickr8k_epoch(*flickr8k_captions(None), "lstm", share=0.01)
    (features,), (captions,) = work.features, work.captions
    assert len(work.rows) == len(captions) == 300
    assert work.rows.max() == len(features) - 1


def test_captions_end_some_soon_and_some_late():
    work = decoding(5, count=60)
    assert work.features[0].shape == (60, work.sizes.D)
    found = beam_search(work.model(), work.features[0], width=5, max_length=30)
    lengths = np.array([len(hypotheses[0].words) for hypotheses in found])
    assert 5 < np.median(lengths) < 20
    assert lengths.min() < 5
    assert lengths.max() > 15


def test_a_plan_makes_what_it_says():
    parts = ("limit", "step", "decode", "plot")
    plan = Plan(parts=parts, cases=("a", "b"), cells=("rnn",), quick=True)
    made = [(work.part, work.task, work.case) for work in works(plan)]
    assert made[0] == ("limit", "product", "a")
    assert [each for each in made if each[0] == "step"] == [("step", "step", c) for c in "ab"]
    assert [each for each in made if each[0] == "decode"] == [
        ("decode", "decode", "greedy"),
        ("decode", "decode", "beam 5"),
    ]
    assert {each[2] for each in made if each[0] == "plot"} == {"N", "T", "V"}


@pytest.mark.parametrize("quick", [False, True])
def test_growth_is_about_case_b_in_one_thing_at_a_time(quick):
    base = CASES["b"]
    at = {"N": base.N, "T": base.T, "V": base.sizes.V}
    found = {axis: [] for axis in at}
    for work in works(Plan(parts=("plot",), quick=quick)):
        (captions,) = work.captions
        measures = {"N": len(captions), "T": captions.shape[1] - 1, "V": work.sizes.V}
        assert measures == at | {work.case: work.at[0]}
        assert work.sizes == base.sizes._replace(V=work.sizes.V)
        found[work.case].append(work.at[0])
    for axis, places in found.items():
        assert places == sorted(set(places))
        assert at[axis] in places


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"parts": ("speed",)}, "only must be one of limit, step, memory"),
        ({"cases": ("e",)}, "case must be one of a, b, c, d, or .* as N=64,H=1024 .*; got e"),
        ({"cases": ("a", "K=3")}, "whole N, T, D, W, H, V, and valid, once each.; got K=3"),
        ({"cases": ("N=3,T",)}, "got N=3,T"),
        ({"cases": ("N=2.5",)}, "got N=2.5"),
        ({"cases": ("N=3,N=4",)}, "got N=3,N=4"),
        ({"cases": ("N=0",)}, "N=0: T must be at least 2, V at least 5, the others 1"),
        ({"cases": ("T=1",)}, "T must be at least 2"),
        ({"cases": ("V=4",)}, "V at least 5"),
        ({"cases": ("valid=0",)}, r"valid, the share of words, must be in \(0, 1\], got 0.0"),
        ({"cases": ("valid=nan",)}, "got nan"),
        ({"cases": ("N=10000,T=1000",)}, "makes arrays of more than 268,435,456 numbers"),
        ({"cases": ("D=1000000",)}, "makes arrays of more than"),
        ({"cases": ("V=1000000",)}, "makes arrays of more than"),
        ({"cases": ("H=20000",)}, "makes arrays of more than"),
        ({"cases": ("N=1,T=2,W=1,H=1,V=5000000",)}, "makes arrays of more than"),
        ({"cases": ("N=5000,T=1000,W=1,H=1,V=5",)}, "makes arrays of more than"),
        ({"cells": ("gru",)}, "cell must be one of rnn, lstm, got gru"),
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        ({"threads": 0}, "threads must be from 1 to"),
        ({"clock": "cpu"}, "CPU time"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        Plan(**wrong)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such folder"):
        find_flickr8k(tmp_path / "flickr8k")
