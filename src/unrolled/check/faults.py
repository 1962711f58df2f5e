"""From an error's text, or a shape, to what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from unrolled.check.diagnoses import Diagnosis
from unrolled.check.evidence import Answer, ModelCase, ModelEvidence

DIVIDED = (
    "slice indices must be integers",
    "'float' object cannot be interpreted as an integer",
    "only integers, slices",
    "can't multiply sequence by non-int of type 'float'",
    "received an invalid combination of arguments",
)
PYTHON2_NAMES = ("xrange", "unicode", "raw_input", "long", "basestring", "reduce", "unichr")
PYTHON2_TEXTS = {
    r"'dict' object has no attribute '(iteritems|itervalues|iterkeys|has_key)'": r"dict.\1",
    r"'(map|filter|zip|dict_\w+)' object is not subscriptable": r"[] on \1()",
    r"unsupported operand type\(s\) for \+: 'range' and 'list'": "range() + []",
    r"No module named '(cPickle|urllib2|StringIO|__builtin__)'": r"import \1",
}
NOT_FAULTS = {
    "SystemExit": "exits",
    "KeyboardInterrupt": "exits",
    "OutputStormError": "too-much-output",
    "MemoryError": "too-much-memory",
}


def is_ending(error: Mapping[str, Any]) -> bool:
    """Say whether it ended the function from outside its formulas: exit, memory, a refused act.

    Parameters
    ----------
    error : mapping
        As `unrolled.check.calls.described` gives it.

    Returns
    -------
    bool
    """
    return error["type"] in NOT_FAULTS or error["type"] == "ForbiddenError"


def diagnosed(error: Mapping[str, Any], case: str, text: str, megabytes: int = 0) -> Diagnosis:
    """Say what an error means.

    Parameters
    ----------
    error : mapping
        As `unrolled.check.calls.described` gives it.
    case : str
        The case it came in.
    text : str
        The student's text, to find the division that made a float.
    megabytes : int
        What the function was allowed.

    Returns
    -------
    Diagnosis
    """
    kind, message = str(error["type"]), str(error["message"])
    where = {"line": error["line"] or "?", "text": error["text"] or "?"}
    if kind in NOT_FAULTS:
        return Diagnosis(NOT_FAULTS[kind], {"megabytes": megabytes})
    if kind == "ForbiddenError":
        return Diagnosis("forbidden", {"what": message})
    if kind == "NotImplementedError":
        return Diagnosis("not-implemented")
    python2 = _python2(error, message)
    if python2:
        return Diagnosis("python2", {**where, "what": python2})
    division = _division(error, message, text)
    if division:
        return Diagnosis("integer-division", division)
    if kind in ("NameError", "UnboundLocalError"):
        name = error.get("name") or (re.findall(r"'(\w+)'", message) or ["?"])[0]
        return Diagnosis("undefined-name", {**where, "what": name})
    if kind == "TypeError" and not error["line"]:
        return Diagnosis("wrong-arguments", {"error": message})
    said = f"{kind}: {message}" if message else kind
    return Diagnosis("raises", {**where, "error": said, "case": case})


def _python2(error: Mapping[str, Any], message: str) -> str:
    if error["type"] == "NameError":
        name = error.get("name") or ""
        return name if name in PYTHON2_NAMES else ""
    for pattern, what in PYTHON2_TEXTS.items():
        found = re.search(pattern, message)
        if found:
            return found.expand(what)
    return ""


def _division(error: Mapping[str, Any], message: str, text: str) -> dict[str, Any] | None:
    """Find the division whose float the failing line uses, if that is what it fails by."""
    line = error["line"]
    if not line or not any(part in message for part in DIVIDED):
        return None
    lines = text.split("\n")
    used = set(re.findall(r"\w+", str(error["text"])))
    for number in range(min(line, len(lines)), 0, -1):
        code = lines[number - 1].split("#")[0]
        if re.search(r"(?<!/)/(?!/)", code):
            target = code.split("=")[0]
            if number == line or used & set(re.findall(r"\w+", target)):
                return {"line": number, "text": code.strip()}
        if re.match(r"\s*def ", code):
            break
    return None


def wrong_shape(
    what: str, came: tuple[int, ...], case: Any, expected: tuple[int, ...]
) -> Diagnosis:
    """Say what a shape means.

    Parameters
    ----------
    what : str
        The name of the output.
    came, expected : tuple of int
    case : Case

    Returns
    -------
    Diagnosis
    """
    values = {"what": what, "came": shown(came), "expected": shown(expected), "case": case.label}
    if len(came) == 3 and (came[1], came[0], came[2]) == expected and came[0] != came[1]:
        return Diagnosis("axes-swapped", values)
    longer = len(came) == 3 and (came[0], came[1] - 1, came[2]) == expected
    if longer and "T" in case.sizes:
        return Diagnosis("initial-state-included", values)
    if what.startswith("db") and len(expected) == 1 and came != expected:
        return Diagnosis("summed-wrong-axis", values)
    return Diagnosis("wrong-shape", values)


def shown(shape: tuple[int, ...]) -> str:
    """Write a shape as Python does.

    Parameters
    ----------
    shape : tuple of int

    Returns
    -------
    str
    """
    return str(tuple(int(n) for n in shape))


def raised(evidence: ModelEvidence, rows: list[tuple[ModelCase, Answer]]) -> Diagnosis | None:
    """Say what an error means that came in some cases only.

    Parameters
    ----------
    evidence : ModelEvidence
    rows : list of (case, answer)

    Returns
    -------
    Diagnosis or None
    """
    failing = [(c, a["error"]) for c, a in rows if "error" in a]
    if not failing:
        return None
    broken = {c["cell"] for c, _ in failing}
    fine = {c["cell"] for c, a in rows if "error" not in a}
    case, error = failing[0]
    if len(broken) == 1 and not broken & fine:
        said = f"{error['type']}: {error['message']}"
        (fails,), (works,) = broken, fine
        return Diagnosis("hard-coded-cell", {"works": works, "fails": fails, "error": said})
    if {c["label"] for c, _ in failing} == {"float32"}:
        said = f"{error['type']}: {error['message']}"
        return Diagnosis("dtype-hard-coded", {"dtype": "float32", "error": said})
    return diagnosed(error, case["label"], evidence.text, evidence.megabytes)
