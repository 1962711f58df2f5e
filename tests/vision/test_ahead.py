"""Work ahead of the consumer: in order, bounded, and leaving no thread behind."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.vision.ahead import map_ahead


def workers() -> int:
    return sum(thread.name.startswith("unrolled-ahead") for thread in threading.enumerate())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), st.integers(1, 4), st.integers(1, 12))
def test_order_is_kept(count: int, threads: int, ahead: int) -> None:
    def slow(item: int) -> int:
        time.sleep(random.random() / 2000)
        return -item

    results = list(map_ahead(slow, range(count), threads=threads, ahead=ahead))
    assert results == [(item, -item) for item in range(count)]
    assert workers() == 0


def test_the_source_is_read_no_further_than_asked() -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = map_ahead(abs, source(), threads=3, ahead=5)
    for consumed in range(1, 20):
        next(results)
        assert taken == consumed + 4
    results.close()
    assert workers() == 0


def test_work_really_runs_at_once() -> None:
    barrier = threading.Barrier(3, timeout=10)
    assert len(list(map_ahead(lambda _: barrier.wait(), range(6), threads=3, ahead=6))) == 6


def test_an_exception_comes_at_its_turn() -> None:
    def fails_at_three(item: int) -> int:
        if item == 3:
            raise ValueError("three")
        return item

    results = map_ahead(fails_at_three, range(100), threads=2, ahead=10)
    assert [next(results) for _ in range(3)] == [(0, 0), (1, 1), (2, 2)]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert workers() == 0


def test_closing_drops_what_has_not_begun() -> None:
    begun = []

    def slow(item: int) -> None:
        begun.append(item)
        time.sleep(0.02)

    results = map_ahead(slow, range(1000), threads=2, ahead=500)
    next(results)
    started = time.perf_counter()
    results.close()
    assert time.perf_counter() - started < 4
    assert len(begun) < 20
    assert workers() == 0


def test_a_source_that_fails_leaves_no_thread() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(map_ahead(abs, source(), threads=2, ahead=8))
    assert workers() == 0
