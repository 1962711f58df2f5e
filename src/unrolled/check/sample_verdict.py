"""Judge ``CaptioningRNN.sample`` by what it gave in every case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from unrolled.check import plain_model
from unrolled.check.diagnoses import Diagnosis, how_many
from unrolled.check.evidence import ARRAY, Answer, ModelEvidence
from unrolled.check.evidence import ModelCase as Case
from unrolled.check.faults import raised, shown
from unrolled.check.results import FunctionResult
from unrolled.layers.arrays import Array


def judge_sample(evidence: ModelEvidence, rows: list[tuple[Case, Answer]]) -> FunctionResult:
    """Judge what sample gave.

    Parameters
    ----------
    evidence : ModelEvidence
    rows : list of (case, answer)

    Returns
    -------
    FunctionResult
    """
    name = evidence.name
    found = _sample_form(rows) or raised(evidence, rows)
    if found:
        return FunctionResult(name, "fail", None, (found,))
    expected = [plain_model.sample(case) for case, _ in rows]
    came = [a["outs"][0] for _, a in rows]
    if all(map(np.array_equal, came, expected)):
        return FunctionResult(name, "pass", 0.0)
    return FunctionResult(name, "fail", None, (_sample_explained(rows, came, expected),))


def _sample_form(rows: list[tuple[Case, Answer]]) -> Diagnosis | None:
    for case, answer in rows:
        if "error" in answer:
            continue
        captions = answer["outs"][0] if answer["count"] == -1 else answer["outs"]
        if captions is None:
            return Diagnosis("returns-none", {"what": "captions"})
        if answer["count"] != -1:
            values = {"came": how_many(answer["count"]), "expected": "captions"}
            return Diagnosis("wrong-count", values)
        if not isinstance(captions, np.ndarray):
            values = {"what": "captions", "came": captions["type"], **ARRAY}
            return Diagnosis("wrong-type", values)
        expected = (len(case["features"]), case["max_length"])
        if captions.shape != expected:
            size = _one_size(rows)
            if size:
                return Diagnosis("hard-coded-size", {"letter": "N", "value": size})
            values = {
                "what": "captions",
                "came": shown(captions.shape),
                "expected": shown(expected),
            }
            return Diagnosis("wrong-shape", {**values, "case": case["label"]})
    return None


def _one_size(rows: list[tuple[Case, Answer]]) -> int:
    """Give the batch size that comes out whatever goes in, or 0."""
    outs = [a["outs"][0] for _, a in rows if "outs" in a]
    sizes = {o.shape[0] if isinstance(o, np.ndarray) and o.ndim == 2 else 0 for o in outs}
    return sizes.pop() if len(sizes) == 1 else 0


def _sample_explained(
    rows: list[tuple[Case, Answer]], came: list[Array], expected: list[Array]
) -> Diagnosis:
    for code, values, knobs in sample_suspects(rows):
        if all(
            np.array_equal(c, plain_model.sample(case, **knobs(case)))
            for (case, _), c in zip(rows, came, strict=True)
        ):
            return Diagnosis(code, values)
    if all(
        np.array_equal(c[:, 1:], e[:, :-1]) and (c[:, 0] == case["words"]["<START>"]).all()
        for (case, _), c, e in zip(rows, came, expected, strict=True)
    ):
        return Diagnosis("start-included")
    oks = [
        (c["cell"], np.array_equal(a, e)) for (c, _), a, e in zip(rows, came, expected, strict=True)
    ]
    right, wrong = ({cell for cell, ok in oks if ok is which} for which in (True, False))
    if len(right) == 1 and not right & wrong:
        values = {"works": right.pop(), "fails": wrong.pop()}
        return Diagnosis("hard-coded-cell", {**values, "error": "the captions are wrong"})
    return Diagnosis("forward-wrong", {"what": "the captions", "case": "everything"})


Knobs = Callable[[Case], dict[str, Any]]


def sample_suspects(
    rows: list[tuple[Case, Answer]],
) -> Iterator[tuple[str, dict[str, Any], Knobs]]:
    """Give the mistakes that people make in sampling, the likeliest first.

    Parameters
    ----------
    rows : list of (case, answer)

    Yields
    ------
    code : str
    values : dict
        What the diagnosis quotes.
    knobs : callable
        How `unrolled.check.plain_model.sample` makes the mistake in a case.
    """

    def always(**knobs: Any) -> Knobs:
        return lambda _: knobs

    for word in ("<NULL>", "<END>"):
        yield "wrong-start", {"value": word}, partial(_from, word)
    ids = sorted({i for c, _ in rows for i in c["words"].values()})
    for value in ids:
        yield "hard-coded-start", {"value": value}, always(start=value)
    yield "word-not-fed", {}, always(fed=False)
    yield "state-not-kept", {"what": "h"}, always(keep_h=False)
    yield "state-not-kept", {"what": ["h", "c"]}, always(keep_h=False, keep_c=False)
    yield "features-ignored", {}, always(features=0)
    for what, knobs in (("c", {"keep_c": False}), ("h", {"keep_h": False})):
        yield "state-not-kept", {"what": what}, _for_cell("lstm", **knobs)
    yield "cell-state-initial", {"came": "h0"}, _for_cell("lstm", cell_from_h0=True)
    scores = {"what": "scores", "came": "prev_h", "expected": "next_h"}
    yield "wrong-state", scores, always(late=True)
    yield "state-not-kept", {"what": "h"}, _for_cell("rnn", keep_h=False)


def _from(word: str, case: Case) -> dict[str, Any]:
    return {"start": case["words"][word]}


def _for_cell(cell: str, **knobs: Any) -> Knobs:
    return lambda case: knobs if case["cell"] == cell else {}
