"""Check function after function, each with right helpers in place of those found wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from unrolled.check.cases import Case, cases_of, model_cases, sample_cases
from unrolled.check.diagnoses import NOTES, Diagnosis, Words
from unrolled.check.evidence import Evidence, ModelEvidence
from unrolled.check.faults import diagnosed, is_ending
from unrolled.check.model_verdict import judge_model
from unrolled.check.results import FunctionResult
from unrolled.check.sandbox import Ended
from unrolled.check.spec import SPECS, Spec, functions_of, specs_of
from unrolled.check.verdict import judge

Call = dict[str, Any]


class Runner(Protocol):
    """Something that has calls made, with some functions put right."""

    def __call__(self, calls: list[Call], replaced: list[str]) -> Ended:
        """Make the calls."""


class Checker:
    """Checks what is defined, in the order in which functions stand on each other.

    Parameters
    ----------
    profile : "numpy" or "torch"
    defined, stubs : set of str
        What the file defines, and what of it is as it was handed out.
    runner : Runner
    texts : dict of str to str
        The files' texts by label.
    megabytes : int
        What a function may use, for its message.
    """

    def __init__(
        self,
        profile: str,
        defined: frozenset[str],
        stubs: frozenset[str],
        runner: Runner,
        texts: dict[str, str],
        megabytes: int = 0,
    ) -> None:
        self._profile = profile
        self._defined = defined
        self._stubs = stubs
        self._runner = runner
        self._texts = texts
        self._megabytes = megabytes
        self._results: dict[str, FunctionResult] = {}

    def run(self) -> Iterator[FunctionResult]:
        """Check one function after the other.

        Yields
        ------
        FunctionResult
        """
        for spec in specs_of(self._profile):
            result = self._checked(spec)
            self._results[spec.name] = result
            yield result

    def _checked(self, spec: Spec) -> FunctionResult:
        if spec.name not in self._defined:
            return FunctionResult(spec.name, "missing")
        if spec.name in self._stubs:
            return FunctionResult(spec.name, "missing", None, (Diagnosis("not-implemented"),))
        blame = Diagnosis("not-checked", {"what": spec.forward})
        if self._status(spec.forward) in ("missing", "error"):
            return FunctionResult(spec.name, "error", None, (blame,))
        helpers = [name for stem in spec.helpers for name in functions_of(stem)]
        wrong = [n for n in helpers if self._status(n) not in ("pass", None) and n in self._defined]
        noted = [n for n in helpers if n not in wrong and self._noted(n)]
        tried: dict[tuple[str, ...], FunctionResult] = {}
        for replaced in ([*wrong, *noted], wrong, []):
            key = tuple(_pairs(replaced))
            if key not in tried:
                tried[key] = self._judged(spec, list(key))
                if tried[key].status == "pass":
                    return self._remarked(tried[key], wrong if replaced else [])
        result = next(iter(tried.values()))
        vague = any(d.code == "gradient-wrong" for d in result.diagnoses)
        if vague and self._status(spec.forward) == "fail":
            return replace(result, status="error", diagnoses=(blame,))
        return result

    def _status(self, name: str) -> str | None:
        result = self._results.get(name)
        return result.status if result else None

    def _noted(self, name: str) -> bool:
        result = self._results.get(name)
        return bool(result and any(d.code in NOTES for d in result.diagnoses))

    def _remarked(self, result: FunctionResult, wrong: list[str]) -> FunctionResult:
        if not wrong:
            return result
        names = ", ".join(wrong)
        remark = Words(
            f"{result.name} was checked with right ones in place of the file's {names}",
            f"检查 {result.name} 时，用正确的函数替代了文件中的 {names}",
        )
        return replace(result, remarks=(*result.remarks, remark))

    def _judged(self, spec: Spec, replaced: list[str]) -> FunctionResult:
        if spec.kind == "model":
            return self._judged_model(spec, replaced)
        forward = SPECS[spec.forward] if spec.forward else spec
        cases = cases_of(spec, forward)
        calls = [self._call(spec, case) for case in cases]
        if self._profile == "torch":
            calls.append(self._autograd_call(spec, cases))
        answers = self._answers(spec.name, self._runner(calls, replaced), len(calls))
        if isinstance(answers, FunctionResult):
            return answers
        evidence = Evidence(
            spec=spec,
            profile=self._profile,
            cases=cases,
            answers=answers[: len(cases)],
            text=self._text(answers),
            megabytes=self._megabytes,
            numeric=lambda some: self._numeric(spec, some, replaced),
        )
        result = judge(evidence)
        if self._profile == "torch" and result.status == "pass":
            return self._with_autograd(result, spec, cases, answers[-1])
        return result

    def _call(self, spec: Spec, case: Case) -> Call:
        call: Call = {"function": spec.name, "args": case.args, "outs": len(spec.outs)}
        if spec.kind == "backward":
            return call | {"do": "backward", "forward": spec.forward, "upstream": case.upstream}
        return call | {"do": "forward"}

    def _numeric(self, spec: Spec, cases: list[Case], replaced: list[str]) -> list[Any]:
        calls = [
            {"do": "numeric", "function": spec.forward, "args": c.args, "upstream": c.upstream}
            for c in cases
        ]
        ended = self._runner(calls, replaced)
        return list(ended.answer["answers"]) if ended.answer else []

    def _autograd_call(self, spec: Spec, cases: list[Case]) -> Call:
        case = next(c for c in cases if c.label == "random")
        upstream = case.upstream[: len(spec.outs)]
        return {
            "do": "autograd",
            "function": spec.name,
            "args": case.args,
            "upstream": upstream,
        }

    def _with_autograd(
        self, result: FunctionResult, spec: Spec, cases: list[Case], answer: dict[str, Any]
    ) -> FunctionResult:
        """Hold a torch forward to being differentiable: that is how it is trained."""
        from unrolled.check.autograd import graph_faults

        error = answer.get("error")
        if error and is_ending(error):
            found = diagnosed(error, "random", self._text([answer]), self._megabytes)
            return FunctionResult(spec.name, "error", None, (found,))
        case = next(c for c in cases if c.label == "random")
        fault = graph_faults(spec, case, answer)
        return replace(result, status="fail", diagnoses=(fault,)) if fault else result

    def _judged_model(self, spec: Spec, replaced: list[str]) -> FunctionResult:
        method = spec.name.partition(".")[2]
        cases = model_cases() if method == "loss" else sample_cases()
        remarks: tuple[Words, ...] = ()
        if self._without_lstm():
            cases = [c for c in cases if c["cell"] == "rnn"]
            remarks = (
                Words(
                    f"{spec.name} was checked with cell_type 'rnn' alone: the file's LSTM is"
                    " not written yet",
                    f"{spec.name} 只检查了 cell_type 'rnn'：文件中的 LSTM 尚未实现",
                ),
            )
        ended = self._runner([{**case, "do": method} for case in cases], replaced)
        answers = self._answers(spec.name, ended, len(cases))
        if isinstance(answers, FunctionResult):
            return answers
        evidence = ModelEvidence(
            method, self._profile, cases, answers, self._text(answers), self._megabytes
        )
        result = judge_model(evidence)
        return replace(result, remarks=remarks)

    def _without_lstm(self) -> bool:
        """Say whether the file brings its layers, and the LSTM is not among them yet."""
        written = self._defined - self._stubs
        brings = written & {"rnn_step_forward", "rnn_forward"}
        return bool(brings) and not written & {"lstm_step_forward", "lstm_forward"}

    def _answers(self, name: str, ended: Ended, count: int) -> list[Any] | FunctionResult:
        """Take the answers, or say why there are none."""
        if ended.answer is None:
            values = {**ended.values, "megabytes": self._megabytes}
            return FunctionResult(name, "error", None, (Diagnosis(ended.code, values),))
        answers: list[Any] = ended.answer["answers"]
        if any(a.get("absent") for a in answers):
            return self._absent(name, ended.answer)
        stopped = len(answers) < count
        if stopped and not any(a.get("error") and is_ending(a["error"]) for a in answers):
            return FunctionResult(name, "error", None, (Diagnosis("exits"),))
        return answers

    def _absent(self, name: str, answer: dict[str, Any]) -> FunctionResult:
        """Say why a function that the text defines is not there once it is loaded."""
        for error in answer["failures"].values():
            found = diagnosed(error, "import", self._text([{"error": error}]), self._megabytes)
            return FunctionResult(name, "error", None, (found,))
        return FunctionResult(name, "missing")

    def _text(self, answers: list[Any]) -> str:
        """Give the text of the file that the first error came from."""
        for answer in answers:
            file = (answer.get("error") or {}).get("file") or ""
            if file.strip("<>") in self._texts:
                return self._texts[file.strip("<>")]
        return ""


def _pairs(names: list[str]) -> list[str]:
    """Take a forward along with its backward: they share a cache."""
    forwards = {
        n.removesuffix("_backward") + "_forward" if n.endswith("_backward") else n for n in names
    }
    return sorted(forwards)
