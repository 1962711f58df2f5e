"""Judge what a right formula can still do wrong: large values, and the dtype that comes out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from unrolled.check.cases import Case
from unrolled.check.compare import close
from unrolled.check.diagnoses import Diagnosis
from unrolled.check.evidence import Answer, Evidence, outs_of
from unrolled.check.faults import diagnosed
from unrolled.check.spec import Spec


def extremes(evidence: Evidence, standard: Any, oks: list[bool]) -> list[Diagnosis]:
    """Judge the cases that are not ordinary.

    Parameters
    ----------
    evidence : Evidence
    standard : list of lists of array
        What was expected, by case.
    oks : list of bool
        Whether a case's numbers are right.

    Returns
    -------
    list of Diagnosis
    """
    found = []
    rows = zip(evidence.cases, evidence.answers, standard, oks, strict=True)
    for case, answer, expected, ok in rows:
        if case.ordinary:
            continue
        if "outs" not in answer:
            if "error" in answer:
                found.append(_extreme_error(case, answer["error"], evidence))
            continue
        if not ok:
            found.append(_extreme_value(evidence.spec, case, outs_of(answer), expected))
    return [*found, *_dtypes(evidence)]


def _extreme_error(case: Case, error: dict[str, Any], evidence: Evidence) -> Diagnosis:
    if case.label == "float32":
        said = f"{error['type']}: {error['message']}"
        return Diagnosis("dtype-hard-coded", {"dtype": "float32", "error": said})
    return diagnosed(error, case.label, evidence.text, evidence.megabytes)


def _extreme_value(spec: Spec, case: Case, outs: list[Any], expected: Any) -> Diagnosis:
    for (name, _), out, right in zip(spec.outs, outs, expected, strict=False):
        if not isinstance(out, np.ndarray) or close(out, right, loose=case.label == "float32"):
            continue
        if case.label == "large values" and not np.isfinite(out).all():
            came = "nan" if np.isnan(out).any() else "inf"
            return Diagnosis("overflow", {"what": name, "came": came})
        code = "gradient-wrong" if spec.kind == "backward" else "forward-wrong"
        return Diagnosis(code, {"what": name, "case": case.label})
    return Diagnosis("forward-wrong", {"what": spec.name, "case": case.label})


def _dtypes(evidence: Evidence) -> Iterable[Diagnosis]:
    """Tell float64 out of float32, and float32 out of float64."""
    names = [name for name, _ in evidence.spec.outs]
    for label, dtype, code in (
        ("float32", np.float32, "dtype-widened"),
        ("random", np.float64, "dtype-narrowed"),
    ):
        row = next((k for k, c in enumerate(evidence.cases) if c.label == label), None)
        if row is None or _forward_dtypes(evidence.answers[row]) - {np.dtype(dtype)}:
            continue
        outs = outs_of(evidence.answers[row])
        wrong = [
            n
            for n, o in zip(names, outs, strict=False)
            if isinstance(o, np.ndarray)
            and o.dtype.kind == "f"
            and o.dtype != dtype
            and n != "loss"
        ]
        if wrong:
            yield Diagnosis(code, {"what": wrong})


def _forward_dtypes(answer: Answer) -> set[Any]:
    """Give the dtypes that fed a backward: what the forward widened is not its doing."""
    outs = answer.get("forward_outs") or []
    return {o.dtype for o in outs if isinstance(o, np.ndarray)}
