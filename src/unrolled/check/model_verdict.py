"""Judge ``CaptioningRNN.loss`` and ``CaptioningRNN.sample`` by what they gave in every case."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from unrolled.check import plain, plain_model
from unrolled.check.compare import close, error_of, factor
from unrolled.check.diagnoses import NOTES, Diagnosis, how_many
from unrolled.check.evidence import ARRAY, Answer, ModelEvidence
from unrolled.check.evidence import ModelCase as Case
from unrolled.check.faults import diagnosed, is_ending, raised, shown
from unrolled.check.results import FunctionResult
from unrolled.check.sample_verdict import judge_sample
from unrolled.layers.arrays import Array
from unrolled.model import CaptioningRNN


def judge_model(evidence: ModelEvidence) -> FunctionResult:
    """Judge one method.

    Parameters
    ----------
    evidence : ModelEvidence

    Returns
    -------
    FunctionResult
    """
    rows = list(zip(evidence.cases, evidence.answers, strict=False))
    for case, answer in rows:
        error = answer.get("error")
        if error and is_ending(error):
            found = diagnosed(error, case["label"], evidence.text, evidence.megabytes)
            return FunctionResult(evidence.name, "error", None, (found,))
    cells = {c["cell"] for c, a in rows if "error" not in a}
    if not cells:
        case, answer = rows[0]
        found = diagnosed(answer["error"], case["label"], evidence.text, evidence.megabytes)
        status = "missing" if found.code == "not-implemented" else "error"
        return FunctionResult(evidence.name, status, None, (found,))
    return _loss(evidence, rows) if evidence.method == "loss" else judge_sample(evidence, rows)


def _loss(evidence: ModelEvidence, rows: list[tuple[Case, Answer]]) -> FunctionResult:
    wrong_form = _loss_form(evidence, rows)
    if wrong_form:
        return FunctionResult(evidence.name, "fail", None, (wrong_form,))
    found = raised(evidence, rows)
    if found:
        return FunctionResult(evidence.name, "fail", None, (found,))
    expected = [_reference(case) for case, _ in rows]
    errors = [
        max(error_of(_number(a["loss"]), np.asarray(loss)), *_gradient_errors(a, grads))
        for (case, a), (loss, grads) in zip(rows, expected, strict=True)
        if case["label"] != "float32"
    ]
    diagnoses = list(_loss_diagnoses(rows, expected))
    diagnoses += _loss_side_effects(rows)
    fails = any(d.code not in NOTES for d in diagnoses)
    return FunctionResult(evidence.name, "fail" if fails else "pass", max(errors), tuple(diagnoses))


def _reference(case: Case) -> tuple[float, dict[str, Array]]:
    """Ask our own model, in float64."""
    sizes = case["sizes"]
    model = CaptioningRNN(
        case["words"], sizes["D"], sizes["W"], sizes["H"], case["cell"], np.float64, seed=0
    )
    model.params |= {k: v.astype(np.float64) for k, v in case["params"].items()}
    came = model.loss(case["features"].astype(np.float64), case["captions"])
    return float(came.loss), came.grads


def _loss_form(evidence: ModelEvidence, rows: list[tuple[Case, Answer]]) -> Diagnosis | None:
    """Hold what loss returns to its form."""
    answered = ((c, a) for c, a in rows if "error" not in a)
    return next(filter(None, (_misformed(evidence, *row) for row in answered)), None)


def _misformed(evidence: ModelEvidence, case: Case, answer: Answer) -> Diagnosis | None:
    expected = "loss, grads" if evidence.profile == "numpy" else "loss"
    if answer["loss"] is None:
        return Diagnosis("returns-none", {"what": expected})
    wanted = 2 if evidence.profile == "numpy" else -1
    if answer["count"] != wanted and not (wanted == -1 and answer["count"] == 1):
        values = {"came": how_many(answer["count"]), "expected": expected}
        return Diagnosis("wrong-count", values)
    if _number(answer["loss"]) is None:
        came = answer["loss"]
        if isinstance(came, np.ndarray):
            values = {"what": "loss", "came": shown(came.shape), "expected": "()"}
            return Diagnosis("wrong-shape", {**values, "case": case["label"]})
        return Diagnosis("wrong-type", {"what": "loss", "came": came["type"], **ARRAY})
    if "graph" in answer:
        return Diagnosis("graph-broken", {"what": "params", "error": answer["graph"]})
    if answer["grads"] is None:
        values = {"what": "grads", "came": "value of another kind", "expected": "a dict of arrays"}
        return Diagnosis("wrong-type", values)
    return None


def _number(value: Any) -> Array | None:
    return value.reshape(()) if isinstance(value, np.ndarray) and value.size == 1 else None


def _gradient_errors(answer: Answer, grads: dict[str, Array]) -> Iterator[float]:
    for name, expected in grads.items():
        yield error_of((answer["grads"] or {}).get(name), expected)


def _loss_diagnoses(
    rows: list[tuple[Case, Answer]], expected: list[tuple[float, dict[str, Array]]]
) -> Iterator[Diagnosis]:
    if not all(_loss_is(a, loss, c) for (c, a), (loss, _) in zip(rows, expected, strict=True)):
        yield _loss_explained(rows, expected)
        return
    missing = [n for n in expected[0][1] if any(a["grads"].get(n) is None for _, a in rows)]
    if missing:
        yield Diagnosis("gradient-missing", {"what": missing})
    wrong = [
        name
        for name in expected[0][1]
        if name not in missing
        and not all(
            close(a["grads"][name], grads[name], loose=c["label"] == "float32")
            for (c, a), (_, grads) in zip(rows, expected, strict=True)
        )
    ]
    if wrong:
        yield _gradient_explained(rows, expected, wrong)


def _loss_is(answer: Answer, loss: float, case: Case) -> bool:
    return close(_number(answer["loss"]), np.asarray(loss), loose=_loose(answer, case))


def _loose(answer: Answer, case: Case) -> bool:
    values = [answer["loss"], *(answer["grads"] or {}).values()]
    narrow = any(isinstance(v, np.ndarray) and v.dtype == np.float32 for v in values)
    return narrow or case["label"] == "float32"


def _gradient_explained(
    rows: list[tuple[Case, Answer]], expected: Any, wrong: list[str]
) -> Diagnosis:
    for name in wrong:
        for (case, answer), (_, grads) in zip(rows, expected, strict=True):
            came = answer["grads"][name]
            if not isinstance(came, np.ndarray):
                values = {"what": f"grads['{name}']", "came": came["type"], **ARRAY}
                return Diagnosis("wrong-type", values)
            if came.shape != grads[name].shape:
                values = {"came": shown(came.shape), "expected": shown(grads[name].shape)}
                values |= {"what": f"grads['{name}']", "case": case["label"]}
                return Diagnosis("wrong-shape", values)
    for code, value in (("gradient-doubled", 2), ("gradient-sign", -1), ("gradient-zero", 0)):
        factors = [
            factor(a["grads"][name], grads[name])
            for (c, a), (_, grads) in zip(rows, expected, strict=True)
            for name in wrong
            if c["label"] != "float32" and np.any(grads[name])
        ]
        if all(k is not None and abs(k - value) < 1e-6 for k in factors):
            return Diagnosis(code, {"what": wrong})
    labels = {
        c["label"]
        for (c, a), (_, grads) in zip(rows, expected, strict=True)
        if any(not close(a["grads"][n], grads[n], loose=c["label"] == "float32") for n in wrong)
    }
    where = "everything" if len(labels) == len({c["label"] for c, _ in rows}) else sorted(labels)
    return Diagnosis("gradient-wrong", {"what": wrong, "case": where})


def _loss_explained(rows: list[tuple[Case, Answer]], expected: Any) -> Diagnosis:
    """Say why the loss is wrong."""
    oks = [
        (c["cell"], c["label"], _loss_is(a, loss, c))
        for (c, a), (loss, _) in zip(rows, expected, strict=True)
    ]
    right = {cell for cell, _, ok in oks if ok}
    wrong = {cell for cell, _, ok in oks if not ok}
    for code, values, gives in loss_suspects(rows):
        if all(_loss_is(a, gives(c)[0], c) for c, a in rows):
            return Diagnosis(code, values)
    if len(right) == 1 and len(wrong) == 1 and not right & wrong:
        values = {
            "works": right.pop(),
            "fails": wrong.pop(),
            "error": "the loss is wrong",
        }
        return Diagnosis("hard-coded-cell", values)
    labels = list(dict.fromkeys(label for _, label, ok in oks if not ok))
    where = "everything" if not right else labels
    return Diagnosis("forward-wrong", {"what": "the loss", "case": where})


Give = Callable[[Case], tuple[float, dict[str, Array]]]


def loss_suspects(rows: list[tuple[Case, Answer]]) -> Iterator[tuple[str, dict[str, Any], Give]]:
    """Give the mistakes that people make in the loss, the likeliest first.

    Parameters
    ----------
    rows : list of (case, answer)

    Yields
    ------
    code : str
    values : dict
        What the diagnosis quotes.
    gives : callable
        What the mistake makes of a case.
    """
    loss = plain_model.loss
    yield "mask-ignored", {"where": ""}, partial(loss, masked=False)
    yield "divided-by-time", {}, partial(loss, by=plain.positions)
    yield "divided-by-words", {}, partial(loss, by=plain.words)
    yield "not-averaged", {"what": "the loss"}, partial(loss, by=plain.one)
    yield "captions-not-shifted", {}, partial(loss, shifted=False)
    yield "captions-not-shifted", {}, partial(loss, swapped=True)
    yield "features-ignored", {}, partial(loss, features=0)
    ids = sorted({i for c, _ in rows for i in c["words"].values()})
    for value in ids:
        yield "hard-coded-null", {"value": value}, partial(loss, null=value)


def _loss_side_effects(rows: list[tuple[Case, Answer]]) -> Iterator[Diagnosis]:
    changed = {("features", "captions")[k] for _, a in rows for k in a["changed"]}
    changed |= {f"params['{name}']" for _, a in rows for name in a["params_changed"]}
    if changed:
        yield Diagnosis("argument-changed", {"what": sorted(changed)})
    for label, dtype, code in (
        ("float32", np.float32, "dtype-widened"),
        ("ragged mask", np.float64, "dtype-narrowed"),
    ):
        names = {
            f"grads['{name}']"
            for c, a in rows
            if c["label"] == label
            for name, g in (a["grads"] or {}).items()
            if isinstance(g, np.ndarray) and g.dtype.kind == "f" and g.dtype != dtype
        }
        if names:
            yield Diagnosis(code, {"what": sorted(names)})
