"""``unrolled check``: somebody's solution of the assignment against the truth."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from unrolled.check import Limits, Report, check_path
from unrolled.check.exports import (
    read_points,
    to_gradescope,
    to_junit,
    unusable_for_gradescope,
    words,
)
from unrolled.cli.console import Bar, on_one_line, print_json, print_table, say
from unrolled.errors import InputError, UnrolledError

EXAMPLE = "Example: unrolled check assignment3/cs231n/rnn_layers.py"

HEADINGS = {
    "en": ("function", "verdict", "max error", "what is wrong"),
    "zh": ("函数", "结论", "最大误差", "问题"),
}
VERDICTS = {
    "en": {"pass": "pass", "fail": "FAIL", "missing": "missing", "error": "ERROR"},
    "zh": {"pass": "通过", "fail": "错误", "missing": "缺少", "error": "无法判断"},
}
SUMMARY = {
    "en": "{profile} profile: {passed} passed, {failed} failed, {missing} missing;"
    " {seconds:.1f} s.",
    "zh": "{profile} profile：通过 {passed}，未通过 {failed}，缺少 {missing}；{seconds:.1f} 秒。",
}
HOOK = {
    "en": "This system gives a process no network of its own to be alone in: sockets were refused"
    " inside Python instead.",
    "zh": "本系统不能给进程单独的网络环境：改为在 Python 内拒绝套接字。",
}


class Profile(str, Enum):
    """What the assignment asked for in which years."""

    numpy = "numpy"
    torch = "torch"


class Language(str, Enum):
    """Of the messages."""

    en = "en"
    zh = "zh"


def add_to(app: typer.Typer) -> None:
    """Give the app this command."""
    app.command(name="check", epilog=EXAMPLE)(check_command)


def check_command(
    path: Annotated[
        Path, typer.Argument(help="A .py file, a notebook, or a whole assignment folder.")
    ],
    profile: Annotated[
        Profile | None,
        typer.Option(help="numpy (2015-2024) or torch (2025 on); recognised unless given."),
    ] = None,
    lang: Annotated[Language, typer.Option(help="Of the messages.")] = Language.en,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML here.")] = None,
    gradescope: Annotated[
        Path | None, typer.Option(help="Write Gradescope's results.json here.")
    ] = None,
    points: Annotated[
        Path | None, typer.Option(help="JSON with the points of each function, for Gradescope.")
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Fail what is otherwise only told (dtypes, dout changed)."),
    ] = False,
    seconds: Annotated[float, typer.Option(help="Time for one function.")] = 10.0,
    megabytes: Annotated[int, typer.Option(help="Memory for one function.")] = 2048,
) -> None:
    """Hold a solution of CS231n's captioning assignment against the truth, function by function.

    The file's code runs in a process of its own, without network and within limits. Exit status: 0
    if all that is there passes, 1 if something fails, 2 if the file cannot be used.
    """
    worth = read_points(points) if points else None
    for place in (junit, gradescope):
        _check_place(place)
    try:
        report = _checked(path, profile, Limits(seconds, megabytes))
    except UnrolledError as error:
        if gradescope:
            _write(gradescope, json.dumps(unusable_for_gradescope(str(error)), indent=2))
        raise
    if strict:
        report = report.strict()
    if junit:
        _write(junit, to_junit(report, lang.value))
    if gradescope:
        grades = to_gradescope(report, worth, lang.value)
        _write(gradescope, json.dumps(grades, indent=2, ensure_ascii=False))
    if as_json:
        print_json(report.to_json(lang.value))
    else:
        _show(report, lang.value)
    raise typer.Exit(report.exit_status)


def _checked(path: Path, profile: Profile | None, limits: Limits) -> Report:
    with Bar("Checking") as bar:
        return check_path(
            path,
            profile=profile.value if profile else None,
            limits=limits,
            progress=lambda name, done, total: bar.update(done, total, name),
        )


def _show(report: Report, lang: str) -> None:
    rows = []
    for function in report.functions:
        error = function.max_rel_error
        shown = "" if error is None else f"{error:.1e}"
        lines = words(function, lang).split("\n")
        rows.append((function.name, VERDICTS[lang][function.status], shown, lines[0]))
        rows += [("", "", "", line) for line in lines[1:]]
    print_table(HEADINGS[lang], rows)
    missing = sum(f.status == "missing" for f in report.functions)
    print(
        SUMMARY[lang].format(
            profile=report.profile,
            passed=report.passed,
            failed=report.failed,
            missing=missing,
            seconds=report.seconds,
        )
    )
    for remark in report.remarks:
        print(on_one_line(remark[lang == "zh"]))
    if report.network == "hook":
        say(HOOK[lang])


def _check_place(place: Path | None) -> None:
    """Say before the work that a file cannot be written."""
    if place is not None and (place.is_dir() or not place.parent.is_dir()):
        raise InputError(f"{place}: cannot be written; name a file in a folder that is there")


def _write(place: Path, text: str) -> None:
    try:
        # What a file says, and its name, may hold what is no text.
        place.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UnrolledError(f"{place}: cannot be written ({error.strerror})") from error
