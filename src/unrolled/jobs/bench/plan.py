"""What a benchmark measures: its parts, and the work that each is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from unrolled.cpus import available_cpus
from unrolled.errors import InputError
from unrolled.jobs.bench.cases import (
    AROUND,
    CASES,
    GATES,
    REAL,
    Work,
    decoding,
    find_flickr8k,
    flickr8k_captions,
    flickr8k_epoch,
    flickr8k_steps,
    made_step,
    product_shapes,
    shape_of,
)

PARTS = ("limit", "step", "memory", "decode", "epoch", "plot")
AXES = {
    "N": (8, 16, 32, 64, 128, 256),
    "T": (4, 8, 16, 32, 48),
    "V": (250, 1004, 4000, 16000),
}
"""Places of the plot: batch, length and vocabulary, one of them at a time, the rest as `AROUND`."""
LOOK = {"N": (8, 32, 128), "T": (4, 16), "V": (250, 1004, 4000)}


@dataclass(frozen=True)
class Plan:
    """What to measure, and how.

    Attributes
    ----------
    parts : tuple of str
        Of `PARTS`.
    cases : tuple of str
        a, b, c and d, and sizes of one's own; see `unrolled.jobs.bench.cases.shape_of`.
    cells : tuple of str
    rounds : int
    threads : int or None
        As many as there are cores unless given.
    clock : str
        ``"wall"``, or ``"cpu"`` for the process's CPU time: steadier on a busy machine, and right
        on one thread only.
    quick : bool
        A fast look: less of everything.
    flickr8k : Path or None
        Where the data set is; see `unrolled.jobs.bench.cases.find_flickr8k`.
    """

    parts: tuple[str, ...] = ("limit", "step", "decode")
    cases: tuple[str, ...] = (*CASES, REAL)
    cells: tuple[str, ...] = ("lstm",)
    rounds: int = 15
    threads: int | None = None
    clock: str = "wall"
    quick: bool = False
    flickr8k: Path | None = None

    def __post_init__(self) -> None:
        """Hold every value to what there is."""
        for what, given, known in (
            ("only", self.parts, PARTS),
            ("cell", self.cells, GATES),
        ):
            for name in given:
                if name not in known:
                    raise InputError(f"bench: {what} must be one of {', '.join(known)}, got {name}")
        for case in self.cases:
            if case != REAL:
                shape_of(case)
        if self.rounds < 1:
            raise InputError(f"bench: rounds must be at least 1, got {self.rounds}")
        if self.threads is not None and not 1 <= self.threads <= available_cpus():
            raise InputError(
                f"bench: threads must be from 1 to the {available_cpus()} CPUs that this process "
                f"may use, got {self.threads}"
            )
        if self.clock == "cpu" and self.threads != 1:
            raise InputError("bench: CPU time is the time taken on one thread only; say 1 thread")


def works(plan: Plan) -> Iterator[Work]:
    """Make all works of a plan, one after the other.

    Parameters
    ----------
    plan : Plan

    Yields
    ------
    Work
    """
    folder = find_flickr8k(plan.flickr8k)
    for part in plan.parts:
        if part == "plot":
            yield from _points(LOOK if plan.quick else AXES, plan.cells)
        if part == "epoch":
            captions, words = flickr8k_captions(folder)
            share = 0.02 if plan.quick else 1.0
            yield from (flickr8k_epoch(captions, words, cell, share) for cell in plan.cells)
        if part in ("limit", "step", "memory"):
            for step in _steps(plan, folder):
                yield from _products(step) if part == "limit" else [replace(step, part=part)]
        if part in ("decode", "memory"):
            for width in (1, 5):
                yield replace(decoding(width, 128 if plan.quick else 1000), part=part)


def _steps(plan: Plan, folder: Path | None) -> Iterator[Work]:
    for case in plan.cases:
        for cell in plan.cells:
            if case == REAL:
                captions, words = flickr8k_captions(folder)
                yield flickr8k_steps(captions, words, cell, batches=1 if plan.quick else 4)
            else:
                yield made_step(case, shape_of(case), cell)


def _products(work: Work) -> Iterator[Work]:
    for shape in product_shapes(work):
        empty = replace(work, part="limit", task="product", features=(), captions=())
        yield replace(empty, at=shape)


def _points(axes: dict[str, tuple[int, ...]], cells: Iterable[str]) -> Iterator[Work]:
    for cell in cells:
        for axis, places in axes.items():
            for place in places:
                shape = {
                    "N": AROUND._replace(N=place),
                    "T": AROUND._replace(T=place),
                    "V": AROUND._replace(sizes=AROUND.sizes._replace(V=place)),
                }[axis]
                yield replace(made_step(axis, shape, cell), part="plot", at=(place,))
