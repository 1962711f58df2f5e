"""Memory of large arrays is used again, holds what it should, and does not pile up."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled import CaptioningRNN, kernels
from unrolled.kernels import buffers, kept_buffers, release_buffers

LARGE = 1 << 20
WINDOW = 1024  # large requests over which the extension looks for the most that was in use


def handler(array=None):
    named = np._core.multiarray.get_handler_name
    return named() if array is None else named(array)


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture(scope="module")
def extension():
    """The extension, where it was built with NumPy's headers."""
    found = pytest.importorskip("unrolled.kernels._compiled")
    if kernels.compiled() is None or not hasattr(found, "buffers"):
        pytest.skip("there are no buffers to keep")
    return found


@pytest.fixture
def nothing_held(extension):
    release_buffers()
    assert extension.buffer_bytes()[1] == 0
    yield
    release_buffers()


@pytest.mark.usefixtures("nothing_held")
@pytest.mark.parametrize("count", [LARGE // 8, LARGE // 4 + 3, 5 * LARGE // 8])
def test_what_an_array_leaves_is_kept_for_the_next(count):
    with kept_buffers():
        first = np.ones(count)
        at = address(first)
        del first
        second = np.empty(count)
        assert address(second) == at
        assert (second == 1).all()  # the very memory
        third = np.empty(count)
        assert address(third) != at


@pytest.mark.usefixtures("nothing_held")
def test_a_little_less_comes_from_the_same_block_kept_and_much_less_does_not():
    with kept_buffers():
        first = np.ones(LARGE)
        at = address(first)
        del first
        assert address(np.empty(LARGE - LARGE // 4)) == at
        assert address(np.empty(LARGE // 4)) != at


@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize("count", [1, 100, LARGE // 8, LARGE])
def test_zeros_are_zeros_after_others(count):
    with kept_buffers():
        for _ in range(3):
            made = np.zeros(count)
            assert not made.any()
            made += 7
            del made


@pytest.mark.usefixtures("extension")
@pytest.mark.parametrize("count", [1, 7, 1000, 16385, LARGE // 8 + 1, LARGE])
def test_arrays_that_may_be_kept_begin_at_a_line(count):
    with kept_buffers():
        made = [np.empty(count, np.uint8) for _ in range(5)]
    assert [address(each) % 64 for each in made] == [0] * 5


@pytest.mark.usefixtures("extension")
def test_resizing_keeps_what_there_is():
    with kept_buffers():
        array = np.arange(10.0)
    want = np.arange(10.0)
    for count in (1000, 20_000, 300_000, 310_000, 2_000_000, 200_000, 150_000, 5000, 40_000, 3):
        array.resize(count, refcheck=False)
        want.resize(count, refcheck=False)
        np.testing.assert_array_equal(array, want)
        array[-1] = want[-1] = count


@pytest.mark.usefixtures("nothing_held")
def test_arrays_outlive_the_context_and_go_in_another_thread_kept_all_the_same():
    with kept_buffers():
        arrays = [np.full(LARGE, 3.0)]
    at = address(arrays[0])
    outside = np.zeros(LARGE)
    assert handler(outside) == handler()
    assert (arrays[0] == 3).all()
    thread = threading.Thread(target=arrays.clear)
    thread.start()
    thread.join()
    with kept_buffers():
        assert address(np.empty(LARGE)) == at


@pytest.mark.usefixtures("extension")
def test_each_context_restores_the_handler_before_it():
    usual = handler()
    with kept_buffers():
        ours = handler()
        assert ours != usual
        with kept_buffers():
            assert handler() == ours
        assert handler() == ours
        with pytest.raises(ZeroDivisionError), kept_buffers():
            1 / 0  # noqa: B018
        assert handler() == ours
    assert handler() == usual


@pytest.mark.usefixtures("extension")
def test_another_thread_has_its_own_handler():
    found = []
    with kept_buffers():
        thread = threading.Thread(target=lambda: found.append(handler()))
        thread.start()
        thread.join()
    assert found == [handler()]


@pytest.mark.parametrize("found", [None, SimpleNamespace(release_scratch=lambda: None)])
def test_without_the_means_nothing_changes(monkeypatch, found):
    monkeypatch.setattr(buffers, "extension", lambda: found)
    usual = handler()
    with kept_buffers():
        assert handler() == usual
    release_buffers()


@pytest.mark.usefixtures("nothing_held")
def test_what_is_kept_stays_within_a_quarter_of_the_most_lately_in_use(extension):
    rng = np.random.default_rng(0)
    held, recent = [], deque(maxlen=2 * WINDOW)
    most_idle, others = 0, extension.buffer_bytes()[0]
    with kept_buffers():
        for _ in range(2 * WINDOW):  # what other tests had is forgotten
            np.empty(LARGE, np.uint8)
        for step in range(6 * WINDOW):
            scale = 40 if step < 2 * WINDOW else 4  # a larger model goes, a smaller one stays
            while len(held) > scale or (held and rng.random() < 0.4):
                held.pop(rng.integers(len(held)))
                out, idle = extension.buffer_bytes()
                assert out + idle <= 1.25 * max(recent)
                most_idle = max(most_idle, idle)
            held.append(np.empty(int(scale * LARGE * rng.uniform(0.2, 1)), np.uint8))
            recent.append(extension.buffer_bytes()[0])
            assert sum(extension.buffer_bytes()) <= 1.25 * max(recent)
    assert most_idle > 0
    held.clear()
    out, idle = extension.buffer_bytes()
    assert out == others
    assert idle > 0
    release_buffers()
    assert extension.buffer_bytes() == (others, 0)


ACTIONS = st.tuples(
    st.sampled_from(["empty", "zeros", "resize", "let go"]),
    st.one_of(st.integers(1, 300), st.integers(1, 1 << 15), st.integers(1 << 13, 1 << 18)),
    st.integers(0, 1 << 10),
)


@pytest.mark.usefixtures("extension")
@settings(deadline=None)
@given(st.lists(ACTIONS, max_size=40))
def test_no_array_is_written_through_another(actions):
    held: list[tuple[np.ndarray, int]] = []
    for mark, (action, count, which) in enumerate(actions):
        before = held.pop(which % len(held)) if held and action in ("resize", "let go") else None
        if before is not None:
            assert (before[0] == before[1]).all()
        if action in ("empty", "zeros"):
            with kept_buffers():
                array = getattr(np, action)(count)
            assert action == "empty" or not array.any()
        elif action == "resize" and before is not None:
            array, kept = before[0], min(before[0].size, count)
            array.resize(count, refcheck=False)
            assert (array[:kept] == before[1]).all()
            assert not array[kept:].any()
        else:
            continue
        array[:] = mark
        held.append((array, mark))
    assert all((array == mark).all() for array, mark in held)


@pytest.mark.usefixtures("nothing_held")
@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted as Linux does")
def test_pages_of_a_training_step_are_kept():
    import resource

    # By chance malloc, too, may keep what it was given; it is told not to.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)
    rng = np.random.default_rng(0)
    words = {w: i for i, w in enumerate(["<NULL>", "<START>", "<END>", *map(str, range(1001))])}
    model = CaptioningRNN(words, 512, 256, 512, "lstm", seed=0)
    captions = rng.integers(3, len(words), (128, 17))
    captions[np.arange(17) > rng.integers(6, 17, 128)[:, None]] = 0
    features = rng.standard_normal((128, 512)).astype(np.float32)
    for _ in range(3):
        _, grads = model.loss(features, captions)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        trim(0)
        _, grads = model.loss(features, captions)
    faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 5
    assert sum(grad.nbytes for grad in grads.values()) > 4 << 20  # which would be a thousand pages
    assert faults < 200
