"""Say why numbers are wrong: a known mistake, another order, a factor, a size, or only where."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

from unrolled.check.cases import Case
from unrolled.check.compare import all_close, close, factor
from unrolled.check.diagnoses import Diagnosis
from unrolled.check.evidence import Answer, Evidence, narrow, outs_of
from unrolled.check.faults import diagnosed, wrong_shape
from unrolled.check.spec import Spec
from unrolled.check.suspects import suspects_of
from unrolled.layers.arrays import Array


def explained(evidence: Evidence, expected: Any, oks: list[bool]) -> Diagnosis:
    """Say why a function's numbers are wrong.

    Parameters
    ----------
    evidence : Evidence
    expected : list of lists of array
        By case.
    oks : list of bool
        Whether a case's numbers are right; not all are.

    Returns
    -------
    Diagnosis
    """
    spec = evidence.spec
    pairs = zip(evidence.cases, evidence.answers, expected, oks, strict=True)
    rows = [(c, a, e, ok) for c, a, e, ok in pairs if c.ordinary]
    answered = [(c, outs_of(a), e) for c, a, e, _ in rows if "outs" in a]
    whole = len(answered) == len(rows)
    shaped = whole and all(_same_shapes(o, e) for _, o, e in answered)
    found = (shaped and _suspect(spec, answered)) or (whole and _swapped(spec, answered))
    found = found or (shaped and _scaled(spec, answered))
    if found:
        return found
    sized = _hard_coded(rows)
    if sized:
        return sized
    wrong = [row for row in rows if not row[3]]
    raised = [(c, a["error"]) for c, a, _, _ in wrong if "error" in a]
    if raised:
        case, error = raised[0]
        return diagnosed(error, case.label, evidence.text, evidence.megabytes)
    for case, outs, e in answered:
        for (name, _), out, right in zip(spec.outs, outs, e, strict=True):
            if not isinstance(out, np.ndarray) or out.shape != right.shape:
                came = out.shape if isinstance(out, np.ndarray) else ()
                return wrong_shape(name, came, case, right.shape)
    names = [
        name
        for k, (name, _) in enumerate(spec.outs)
        if any(not close(o[k], e[k], loose=narrow(o[k])) for _, o, e in answered)
    ]
    labels = list(dict.fromkeys(c.label for c, _, _, ok in rows if not ok))
    where = "everything" if len(wrong) == len(rows) else labels
    code = "gradient-wrong" if spec.kind == "backward" else "forward-wrong"
    return Diagnosis(code, {"what": names, "case": where})


def _same_shapes(outs: list[Any], expected: list[Array]) -> bool:
    return len(outs) == len(expected) and all(
        isinstance(o, np.ndarray) and o.shape == e.shape
        for o, e in zip(outs, expected, strict=True)
    )


def _suspect(spec: Spec, answered: list[tuple[Case, list[Array], Any]]) -> Diagnosis | None:
    for suspect in suspects_of(spec.name):
        for case, outs, _ in answered:
            given = (case.args, case.upstream) if spec.kind == "backward" else (case.args,)
            with np.errstate(all="ignore"):
                mistaken = list(suspect.gives(*given))[: len(spec.outs)]
            if not all_close(outs, mistaken, loose=any(map(narrow, outs))):
                break
        else:
            return Diagnosis(suspect.code, suspect.values)
    return None


def _swapped(spec: Spec, answered: list[tuple[Case, list[Array], Any]]) -> Diagnosis | None:
    """Tell right numbers in another order."""
    for order in permutations(range(len(spec.outs))):
        if all(
            all_close(outs, [e[k] for k in order], loose=any(map(narrow, outs)))
            for _, outs, e in answered
        ):
            return Diagnosis("outputs-swapped", {"order": [spec.outs[k][0] for k in order]})
    return None


def _scaled(spec: Spec, answered: list[tuple[Case, list[Array], Any]]) -> Diagnosis | None:
    """Tell gradients that are off by one factor, all the others being right."""
    told: dict[tuple[str, str], list[str]] = {}
    for k, (name, _) in enumerate(spec.outs):
        if all(close(outs[k], e[k]) for _, outs, e in answered):
            continue
        told.setdefault(_factor_of([(c, o[k], e[k]) for c, o, e in answered]), []).append(name)
    if len(told) != 1 or ("", "") in told:
        return None
    ((code, letter), names) = next(iter(told.items()))
    return Diagnosis(code, {"what": names, "letter": letter})


def _factor_of(rows: list[tuple[Case, Array, Array]]) -> tuple[str, str]:
    factors = [factor(out, e) for _, out, e in rows]
    if any(k is None for k in factors):
        return "", ""
    known: tuple[tuple[str, float], ...] = (
        ("gradient-doubled", 2.0),
        ("gradient-sign", -1.0),
        ("gradient-zero", 0.0),
    )
    for code, value in known:
        if all(k is not None and abs(k - value) < 1e-6 for k in factors):
            return code, ""
    for letter in ("N", "T", "NT"):
        sizes = [np.prod([c.sizes.get(each, 1) for each in letter]) for c, _, _ in rows]
        if all(
            k is not None and abs(k * n - 1) < 1e-6 for k, n in zip(factors, sizes, strict=True)
        ):
            return "gradient-averaged", "*".join(letter)
    return "", ""


def _hard_coded(rows: list[tuple[Case, Answer, Any, bool]]) -> Diagnosis | None:
    """Find a size whose one value is right and every other wrong."""
    for letter in "NTDHVM":
        values = {c.sizes[letter] for c, _, _, ok in rows if ok and letter in c.sizes}
        if len(values) != 1:
            continue
        (value,) = values
        if value > 1 and all(ok == (c.sizes[letter] == value) for c, _, _, ok in rows):
            return Diagnosis("hard-coded-size", {"letter": letter, "value": value})
    return None
