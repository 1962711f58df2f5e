"""Judge one layer function by what it gave in every case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from unrolled import layers
from unrolled.check.cases import Case
from unrolled.check.compare import all_close, error_of
from unrolled.check.diagnoses import NOTES, Diagnosis, how_many
from unrolled.check.evidence import ARRAY, Answer, Evidence, outs_of
from unrolled.check.explaining import explained
from unrolled.check.extremes import extremes
from unrolled.check.faults import diagnosed, is_ending
from unrolled.check.results import FunctionResult
from unrolled.check.spec import Spec
from unrolled.layers.arrays import Array

NUMERIC_CASES = ("random", "N = 1")


def judge(evidence: Evidence) -> FunctionResult:
    """Judge a forward, a backward or the loss.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    FunctionResult
    """
    name = evidence.spec.name
    for answer, case in zip(evidence.answers, evidence.cases, strict=False):
        error = answer.get("error")
        if error and is_ending(error):
            found = diagnosed(error, case.label, evidence.text, evidence.megabytes)
            return FunctionResult(name, "error", None, (found,))
    wrong_forward = False
    if evidence.spec.kind == "backward":
        fine = [_forward_fits(evidence.spec, *row) for row in zip(*evidence[2:4], strict=True)]
        wrong_forward = (
            sum(ok for ok, c in zip(fine, evidence.cases, strict=True) if c.ordinary) < 2
        )
        if wrong_forward:
            fine = ["forward_error" not in a for a in evidence.answers]
        if not any(fine):
            blame = Diagnosis("not-checked", {"what": evidence.spec.forward})
            return FunctionResult(name, "error", None, (blame,))
        evidence = evidence.only(fine)
    wrong_form = _form(evidence)
    if wrong_form:
        return wrong_form
    expected = [_expected(evidence.spec, case) for case in evidence.cases]
    standard = _standard(evidence, expected) if wrong_forward else expected
    oks = [
        all_close(outs_of(a), e, loose=_loose(a, c))
        for a, e, c in zip(evidence.answers, standard, evidence.cases, strict=True)
    ]
    errors = [
        max(map(error_of, outs_of(a), e), default=0.0)
        if len(outs_of(a)) == len(e)
        else float("inf")
        for a, e, c in zip(evidence.answers, standard, evidence.cases, strict=True)
        if c.ordinary
    ]
    if wrong_forward and not all(oks):
        blame = Diagnosis("not-checked", {"what": evidence.spec.forward})
        return FunctionResult(name, "error", max(errors), (blame,))
    return _verdict(evidence, standard, oks, max(errors))


def _verdict(evidence: Evidence, expected: Any, oks: list[bool], error: float) -> FunctionResult:
    name, diagnoses = evidence.spec.name, list(_side_effects(evidence))
    ordinary = [ok for ok, case in zip(oks, evidence.cases, strict=True) if case.ordinary]
    if not all(ordinary):
        found = explained(evidence, expected, oks)
        status = "error" if found.code in RAISED and not any(ordinary) else "fail"
        own = [d for d in diagnoses if d.code in EXPLAINING]
        vague = found.code in ("forward-wrong", "gradient-wrong")
        return FunctionResult(
            name, status, error, tuple(own if vague and own else (found, *diagnoses))
        )
    diagnoses += extremes(evidence, expected, oks)
    fails = any(d.code not in NOTES for d in diagnoses)
    return FunctionResult(name, "fail" if fails else "pass", error, tuple(diagnoses))


EXPLAINING = ("argument-changed", "not-repeatable")
RAISED = ("raises", "undefined-name", "python2", "integer-division", "wrong-arguments")


def _largest_error(outs: list[Any], expected: list[Array]) -> float:
    if len(outs) != len(expected):
        return float("inf")
    return max(map(error_of, outs, expected), default=0.0)


def _loose(answer: Answer, case: Case) -> bool:
    single = any(a.dtype == np.float32 for a in case.args)
    narrow = any(isinstance(o, np.ndarray) and o.dtype == np.float32 for o in outs_of(answer))
    return single or narrow


def _expected(spec: Spec, case: Case) -> list[Array]:
    """Ask our own layers, in float64."""
    args = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in case.args]
    if spec.kind == "backward":
        *_, cache = getattr(layers, spec.forward)(*args)
        grads = getattr(layers, spec.name)(*(u.astype(np.float64) for u in case.upstream), cache)
        return list(grads) if isinstance(grads, tuple) else [grads]
    outs = getattr(layers, spec.name)(*args)
    return [np.asarray(out) for out in outs[: len(spec.outs)]]


def _form(evidence: Evidence) -> FunctionResult | None:
    """Hold what is returned to how many things it is, and of what kind."""
    spec = evidence.spec
    whole = [a for a in evidence.answers if "outs" in a]
    if not whole:
        return None
    cache = evidence.profile == "numpy" and spec.kind == "forward"
    names = [n for n, _ in spec.outs] + ["cache"] * cache
    for answer in whole:
        found = _misformed(names, answer, spec)
        if found:
            return FunctionResult(spec.name, "fail", None, (found,))
        del answer["outs"][len(spec.outs) :]
    return None


def _misformed(names: list[str], answer: Answer, spec: Spec) -> Diagnosis | None:
    """Say what is wrong with what one call returned, before any number is looked at."""
    outs, count = answer["outs"], answer["count"]
    expected = len(names)
    if all(out is None for out in outs[: len(spec.outs)]):
        return Diagnosis("returns-none", {"what": ", ".join(names)})
    single = expected == 1 and count in (-1, 1)
    if not single and count != expected:
        return Diagnosis("wrong-count", {"came": how_many(count), "expected": ", ".join(names)})
    nones = [n for (n, _), out in zip(spec.outs, outs, strict=False) if out is None]
    if nones:
        return Diagnosis("returns-none", {"what": nones})
    for (name, _), out in zip(spec.outs, outs, strict=False):
        if not isinstance(out, np.ndarray):
            return Diagnosis("wrong-type", {"what": name, "came": out["type"], **ARRAY})
    return None


def _side_effects(evidence: Evidence) -> Iterable[Diagnosis]:
    """Tell arguments changed in place, and numbers that do not repeat."""
    spec, answers = evidence.spec, evidence.answers
    names = [n for n, _ in spec.args]
    changed = {names[k] for a in answers for k in a.get("changed", ())}
    if changed:
        yield Diagnosis("argument-changed", {"what": sorted(changed)})
    upstream = {k for a in answers for k in a.get("upstream_changed", ())}
    if upstream and not changed:
        douts = UPSTREAM.get(spec.name, ("dout",))
        yield Diagnosis("upstream-changed", {"what": [douts[k] for k in sorted(upstream)]})
    if any(a.get("repeats") is False for a in answers):
        yield Diagnosis("not-repeatable")


UPSTREAM = {
    "rnn_step_backward": ("dnext_h",),
    "lstm_step_backward": ("dnext_h", "dnext_c"),
    "rnn_backward": ("dh",),
    "lstm_backward": ("dh",),
}


def _standard(evidence: Evidence, expected: list[list[Array]]) -> list[list[Array]]:
    """Choose what a backward is held to: where the forward is wrong, its own derivative."""
    chosen = list(expected)
    few = [k for k, c in enumerate(evidence.cases) if c.label in NUMERIC_CASES]
    numeric = evidence.numeric([evidence.cases[k] for k in few])
    for k, answer in zip(few, numeric, strict=False):
        own = outs_of(answer)
        if len(own) == len(expected[k]) and all_close(
            outs_of(evidence.answers[k]), own, loose=True
        ):
            chosen[k] = outs_of(evidence.answers[k])
    fits = few and all(chosen[k] is not expected[k] for k in few)
    as_if = [
        _as_if(evidence.spec, c, a) for c, a in zip(evidence.cases, evidence.answers, strict=True)
    ]
    if not fits and all(e is not None for e in as_if):
        return [e for e in as_if if e is not None]
    # The derivative is taken on a few small cases; where those fit, the others are believed.
    return [outs_of(a) for a in evidence.answers] if fits else expected


def _as_if(spec: Spec, case: Case, answer: Answer) -> list[Array] | None:
    """Differentiate tanh steps at the output that the student's forward gave."""
    outs = answer.get("forward_outs") or []
    if spec.name != "rnn_step_backward" or not outs or not isinstance(outs[0], np.ndarray):
        return None
    if outs[0].shape != case.upstream[0].shape:
        return None
    x, _prev_h, _Wx, _Wh, _ = case.args
    cache = layers.rnn_step_forward(*case.args)[1]._replace(next_h=outs[0].astype(x.dtype))
    return list(layers.rnn_step_backward(case.upstream[0], cache))


def _forward_fits(spec: Spec, case: Case, answer: Answer) -> bool:
    """Say whether the forward that fed a backward is right in a case."""
    if "forward_outs" not in answer:
        return False
    args = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in case.args]
    expected = getattr(layers, spec.forward)(*args)[:-1]
    loose = _loose_outs(answer) or case.label == "float32"
    return all_close(answer["forward_outs"], expected, loose=loose)


def _loose_outs(answer: Answer) -> bool:
    outs = answer.get("forward_outs") or []
    return any(isinstance(o, np.ndarray) and o.dtype == np.float32 for o in outs)
