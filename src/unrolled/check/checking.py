"""Check a path in a process of its own, or a module in this one."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import linecache
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from unrolled.check import calls as student
from unrolled.check.checker import Call, Checker
from unrolled.check.diagnoses import Diagnosis
from unrolled.check.namespace import put_right, right_helpers
from unrolled.check.results import FunctionResult, Report
from unrolled.check.sandbox import Ended, Limits, Sandbox
from unrolled.check.sources import Submission, read_submission
from unrolled.check.spec import KNOWN, MODEL, PROFILES, specs_of
from unrolled.errors import InputError

Progress = Callable[[str, int, int], None]
MOST = Limits(seconds=86_400.0, megabytes=1 << 20)


def check_path(
    path: str | Path,
    *,
    profile: str | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check a file, a folder or a notebook; what it runs, runs in a process of its own.

    Parameters
    ----------
    path : path
        A ``.py`` file, a notebook, or a folder that holds some.
    profile : "numpy" or "torch", optional
        Recognised unless given.
    limits : Limits, optional
        Seconds and megabytes for one function; 10 s and 2048 MB unless given.
    progress : callable, optional
        Called with a function's name, how many are done and how many there are.

    Returns
    -------
    Report

    Raises
    ------
    DataError
        If nothing in it can be checked.
    InputError
        If there is no such path, profile or limit.
    """
    _check_profile(profile)
    limits = limits or Limits()
    if not (0 < limits.seconds <= MOST.seconds and 0 < limits.megabytes <= MOST.megabytes):
        raise InputError(
            f"check: the limits must be above 0, and at most {MOST.seconds:g} seconds and "
            f"{MOST.megabytes} megabytes, got {limits.seconds:g} and {limits.megabytes}"
        )
    begin = time.monotonic()
    submission = read_submission(Path(path), profile)
    if submission.profile == "torch" and importlib.util.find_spec("torch") is None:
        return _without_torch(str(path), submission)
    with Sandbox(submission.profile, limits) as sandbox:

        def run(calls: list[Call], replaced: list[str]) -> Ended:
            return sandbox.ask(_task(submission, calls, replaced))

        texts = dict(submission.modules.values())
        whole = submission.defined - _broken_names(submission)
        checker = Checker(submission.profile, whole, submission.stubs, run, texts, limits.megabytes)
        total, results = len(specs_of(submission.profile)), []
        for result in checker.run():
            results.append(_or_broken(result, submission))
            if progress:
                progress(result.name, len(results), total)
        network = sandbox.network
    return Report(
        path=str(path),
        profile=submission.profile,
        functions=tuple(results),
        remarks=(*submission.remarks, *(r for f in results for r in f.remarks)),
        seconds=time.monotonic() - begin,
        network=network,
        usable=not all(_is_unloaded(f) for f in results),
    )


def _is_unloaded(result: FunctionResult) -> bool:
    """Say whether a function never came to run, as its file could not be loaded."""
    codes = [d.code for d in result.diagnoses if d.values.get("case") != "import"]
    return result.status == "missing" or (
        result.status == "error" and all(code == "not-checked" for code in codes)
    )


def _task(submission: Submission, calls: list[Call], replaced: list[str]) -> dict[str, Any]:
    return {
        "profile": submission.profile,
        "sources": [[name, label, text] for name, (label, text) in submission.modules.items()],
        "roots": list(submission.roots),
        "replaced": replaced,
        "calls": calls,
    }


def _broken_names(submission: Submission) -> frozenset[str]:
    return frozenset().union(*(s.defined for s in submission.broken))


def _or_broken(result: FunctionResult, submission: Submission) -> FunctionResult:
    """Say of a function in a file that cannot be read why it cannot."""
    for source in submission.broken:
        if result.name in source.defined:
            values = {"line": source.line, "text": source.label, "error": source.fault}
            found = Diagnosis("raises", {**values, "case": "SyntaxError"})
            return FunctionResult(result.name, "error", None, (found,))
    return result


def _without_torch(path: str, submission: Submission) -> Report:
    results = []
    for spec in specs_of("torch"):
        there = spec.name in submission.defined and spec.name not in submission.stubs
        found = (Diagnosis("torch-missing"),) if there else ()
        results.append(FunctionResult(spec.name, "error" if there else "missing", None, found))
    return Report(path, "torch", tuple(results), submission.remarks, usable=False)


def _check_profile(profile: str | None) -> None:
    if profile not in (None, *PROFILES):
        raise InputError(f"check: there is no profile {profile!r}, only {', '.join(PROFILES)}")


def check_module(module: ModuleType, *, profile: str | None = None) -> Report:
    """Check a module that is imported already, in this very process: for a teacher's own tests.

    Nothing is limited here: for code that is not trusted, use `check_path`.

    Parameters
    ----------
    module : module
        Defines, or imports, some of the assignment's functions.
    profile : "numpy" or "torch", optional
        Recognised unless given: torch where the module has ``torch`` and no backward.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If the module has none of the functions, or there is no such profile.

    Examples
    --------
    >>> from unrolled import check, layers
    >>> check.check_module(layers).failed
    0
    """
    _check_profile(profile)
    names = {n: v for n, v in vars(module).items() if n in KNOWN or n == MODEL}
    if not names:
        raise InputError(
            f"check_module: {module.__name__} has none of the assignment's functions; "
            f"expected some of {', '.join(sorted(KNOWN)[:3])} ... or {MODEL}"
        )
    if profile is None:
        backward = any(n.endswith("_backward") for n in names)
        profile = "torch" if "torch" in vars(module) and not backward else "numpy"
    defined = set(names) - {MODEL}
    if MODEL in names:
        defined |= {s.name for s in specs_of(profile) if s.kind == "model"}
    begin = time.monotonic()

    def run(calls: list[Call], replaced: list[str]) -> Ended:
        space = dict(names)
        back = put_right([module], space, right_helpers(profile), replaced)
        try:
            answers = [student.run(space, call, profile) for call in calls]
        finally:
            back()
        return Ended({"answers": answers, "failures": {}})

    texts = _texts_of(names.values())
    student.STUDENTS.update(texts)
    results = tuple(Checker(profile, frozenset(defined), frozenset(), run, texts).run())
    remarks = tuple(r for f in results for r in f.remarks)
    return Report(module.__name__, profile, results, remarks, time.monotonic() - begin)


def _texts_of(things: Iterable[Any]) -> dict[str, str]:
    """Give the texts that functions and classes stand in, by file."""
    files = set()
    for thing in things:
        with contextlib.suppress(TypeError, OSError):
            files.add(inspect.getsourcefile(thing))
    return {file: "".join(linecache.getlines(file)) for file in files if file}
