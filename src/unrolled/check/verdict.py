"""Judge one layer function by what it gave in every case."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from unrolled import layers
from unrolled.check.cases import Case
from unrolled.check.compare import all_close, close, error_of, factor
from unrolled.check.diagnoses import NOTES, Diagnosis, how_many
from unrolled.check.faults import diagnosed, is_ending, wrong_shape
from unrolled.check.results import FunctionResult
from unrolled.check.spec import Spec
from unrolled.check.suspects import suspects_of
from unrolled.layers.arrays import Array

Answer = dict[str, Any]
NUMERIC_CASES = ("random", "N = 1")


class Evidence(NamedTuple):
    """Everything that is known of one function."""

    spec: Spec
    profile: str
    cases: list[Case]
    answers: list[Answer]
    text: str
    megabytes: int
    numeric: Callable[[list[Case]], list[Answer]]

    def only(self, kept: list[bool]) -> Evidence:
        """Leave cases out."""
        rows = [r for r, k in zip(zip(*self[2:4], strict=True), kept, strict=True) if k]
        return self._replace(cases=[c for c, _ in rows], answers=[a for _, a in rows])


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
        all_close(_outs(a), e, loose=_loose(a, c))
        for a, e, c in zip(evidence.answers, standard, evidence.cases, strict=True)
    ]
    errors = [
        max(map(error_of, _outs(a), e), default=0.0) if len(_outs(a)) == len(e) else float("inf")
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
        found = _explained(evidence, expected, oks)
        status = "error" if found.code in RAISED and not any(ordinary) else "fail"
        own = [d for d in diagnoses if d.code in EXPLAINING]
        vague = found.code in ("forward-wrong", "gradient-wrong")
        return FunctionResult(
            name, status, error, tuple(own if vague and own else (found, *diagnoses))
        )
    diagnoses += _extremes(evidence, expected, oks)
    fails = any(d.code not in NOTES for d in diagnoses)
    return FunctionResult(name, "fail" if fails else "pass", error, tuple(diagnoses))


ARRAY = {"expected": "an array"}
EXPLAINING = ("argument-changed", "not-repeatable")
RAISED = ("raises", "undefined-name", "python2", "integer-division", "wrong-arguments")


def _outs(answer: Answer) -> list[Any]:
    return answer.get("outs") or []


def _loose(answer: Answer, case: Case) -> bool:
    single = any(a.dtype == np.float32 for a in case.args)
    narrow = any(isinstance(o, np.ndarray) and o.dtype == np.float32 for o in _outs(answer))
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
        own = _outs(answer)
        if len(own) == len(expected[k]) and all_close(_outs(evidence.answers[k]), own, loose=True):
            chosen[k] = _outs(evidence.answers[k])
    fits = few and all(chosen[k] is not expected[k] for k in few)
    as_if = [
        _as_if(evidence.spec, c, a) for c, a in zip(evidence.cases, evidence.answers, strict=True)
    ]
    if not fits and all(e is not None for e in as_if):
        return [e for e in as_if if e is not None]
    # The derivative is taken on a few small cases; where those fit, the others are believed.
    return [_outs(a) for a in evidence.answers] if fits else expected


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


def _explained(evidence: Evidence, expected: Any, oks: list[bool]) -> Diagnosis:
    """Say why the numbers are wrong: a known mistake, a shape, a size, or only where."""
    spec = evidence.spec
    pairs = zip(evidence.cases, evidence.answers, expected, oks, strict=True)
    rows = [(c, a, e, ok) for c, a, e, ok in pairs if c.ordinary]
    answered = [(c, _outs(a), e) for c, a, e, _ in rows if "outs" in a]
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
        if any(not close(o[k], e[k], loose=_narrow(o[k])) for _, o, e in answered)
    ]
    labels = list(dict.fromkeys(c.label for c, _, _, ok in rows if not ok))
    where = "everything" if len(wrong) == len(rows) else labels
    code = "gradient-wrong" if spec.kind == "backward" else "forward-wrong"
    return Diagnosis(code, {"what": names, "case": where})


def _narrow(out: Any) -> bool:
    return isinstance(out, np.ndarray) and out.dtype == np.float32


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
            if not all_close(outs, mistaken, loose=any(map(_narrow, outs))):
                break
        else:
            return Diagnosis(suspect.code, suspect.values)
    return None


def _swapped(spec: Spec, answered: list[tuple[Case, list[Array], Any]]) -> Diagnosis | None:
    """Tell right numbers in another order."""
    for order in permutations(range(len(spec.outs))):
        if all(
            all_close(outs, [e[k] for k in order], loose=any(map(_narrow, outs)))
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


def _extremes(evidence: Evidence, standard: Any, oks: list[bool]) -> list[Diagnosis]:
    """Judge large values, and the dtype that comes out."""
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
            found.append(_extreme_value(evidence.spec, case, _outs(answer), expected))
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
        outs = _outs(evidence.answers[row])
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
