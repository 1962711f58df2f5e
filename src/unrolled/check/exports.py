"""A report for machines: JUnit XML, and Gradescope's results.json with points per function."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from unrolled.check.results import FunctionResult, Report
from unrolled.check.spec import SPECS
from unrolled.errors import DataError

SECONDS = "{:.3f}"


def to_junit(report: Report, lang: str = "en") -> str:
    """Write a report as JUnit XML: a test case a function, what is missing skipped.

    Parameters
    ----------
    report : Report
    lang : "en" or "zh"

    Returns
    -------
    str
    """
    counts = {s: sum(f.status == s for f in report.functions) for s in ("fail", "error", "missing")}
    suite = ElementTree.Element(
        "testsuite",
        name=f"unrolled check {_plain(report.path)}",
        tests=str(len(report.functions)),
        failures=str(counts["fail"]),
        errors=str(counts["error"]),
        skipped=str(counts["missing"]),
        time=SECONDS.format(report.seconds),
    )
    tags = {"fail": "failure", "error": "error", "missing": "skipped"}
    for function in report.functions:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"unrolled.check.{report.profile}", name=function.name
        )
        said = _plain(words(function, lang))
        if function.status != "pass":
            code = function.diagnoses[0].code if function.diagnoses else function.status
            inner = ElementTree.SubElement(case, tags[function.status], message=said, type=code)
            inner.text = said
        elif said:
            ElementTree.SubElement(case, "system-out").text = said
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def words(function: FunctionResult, lang: str) -> str:
    """Say a function's diagnoses, a line each.

    Parameters
    ----------
    function : FunctionResult
    lang : "en" or "zh"

    Returns
    -------
    str
    """
    return "\n".join(d.message(lang) for d in function.diagnoses)


def _plain(text: str) -> str:
    """Keep what XML can hold."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def read_points(path: Path) -> dict[str, float]:
    """Read how many points each function is worth.

    Parameters
    ----------
    path : Path
        JSON, ``{"rnn_step_forward": 2, "CaptioningRNN.loss": 5}``; a function that is not named is
        worth nothing and is not shown.

    Returns
    -------
    dict of str to float

    Raises
    ------
    DataError
        If it cannot be read, or names what there is not.
    """
    try:
        points = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from error
    good = isinstance(points, dict) and all(
        isinstance(v, (int, float)) and not isinstance(v, bool) and 0 <= v < 1e6
        for v in points.values()
    )
    if not good:
        raise DataError(f'{path}: expected {{"function": points}} with points from 0 up')
    unknown = sorted(set(points) - set(SPECS))
    if unknown:
        raise DataError(f"{path}: no function is called {unknown[0]}; known: {', '.join(SPECS)}")
    return {name: float(value) for name, value in points.items()}


def to_gradescope(
    report: Report, points: Mapping[str, float] | None = None, lang: str = "en"
) -> dict[str, Any]:
    """Write a report as Gradescope's autograder takes it: a test a function, with points.

    Parameters
    ----------
    report : Report
    points : mapping of str to float, optional
        What each function is worth; one point each unless given.
    lang : "en" or "zh"

    Returns
    -------
    dict
        For ``/autograder/results/results.json``.
    """
    worth = {f.name: 1.0 for f in report.functions} if points is None else dict(points)
    tests = [
        {
            "name": f.name,
            "score": worth[f.name] if f.status == "pass" else 0.0,
            "max_score": worth[f.name],
            "status": "passed" if f.status == "pass" else "failed",
            "output": words(f, lang) or NOT_DEFINED[lang] * (f.status == "missing"),
            "visibility": "visible",
        }
        for f in report.functions
        if f.name in worth
    ]
    spoken = "\n".join(remark[lang == "zh"] for remark in report.remarks)
    return {
        "tests": tests,
        "score": sum(t["score"] for t in tests),
        "execution_time": round(report.seconds, 3),
        "output": spoken,
        "visibility": "visible",
    }


NOT_DEFINED = {"en": "not defined in what was handed in", "zh": "提交的文件中没有定义"}


def unusable_for_gradescope(message: str) -> dict[str, Any]:
    """Write down that nothing could be checked, so that the student sees why.

    Parameters
    ----------
    message : str

    Returns
    -------
    dict
    """
    return {"score": 0.0, "output": message, "visibility": "visible", "tests": []}
