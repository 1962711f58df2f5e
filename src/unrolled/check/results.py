"""What a check finds: a verdict a function, and the report of them all."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from unrolled.check.diagnoses import NOTES, Diagnosis, Words


@dataclass(frozen=True)
class FunctionResult:
    """The verdict on one function.

    ``status`` is ``pass``; ``fail``, where its numbers are wrong or it does not do what the
    assignment asks; ``missing``, where it is not there or as it was handed out; ``error``, where it
    could not be judged (it did not come back, or something it stands on is wrong).
    """

    name: str
    status: str
    max_rel_error: float | None = None
    diagnoses: tuple[Diagnosis, ...] = ()
    remarks: tuple[Words, ...] = ()

    def strict(self) -> FunctionResult:
        """Let what is only told, count.

        Returns
        -------
        FunctionResult
        """
        if self.status == "pass" and any(d.code in NOTES for d in self.diagnoses):
            return replace(self, status="fail")
        return self


@dataclass(frozen=True)
class Report:
    """The verdicts on a file or folder, in the assignment's order."""

    path: str
    profile: str
    functions: tuple[FunctionResult, ...]
    remarks: tuple[Words, ...] = ()
    seconds: float = 0.0
    network: str = ""
    usable: bool = True

    def strict(self) -> Report:
        """Let what is only told, count.

        Returns
        -------
        Report
        """
        return replace(self, functions=tuple(f.strict() for f in self.functions))

    @property
    def passed(self) -> int:
        """How many functions pass."""
        return sum(f.status == "pass" for f in self.functions)

    @property
    def failed(self) -> int:
        """How many functions are there and do not pass."""
        return sum(f.status in ("fail", "error") for f in self.functions)

    @property
    def exit_status(self) -> int:
        """0 if all that is there passes, 1 if something fails, 2 if the file cannot be used."""
        if not self.usable:
            return 2
        return 0 if self.passed and not self.failed else 1

    def to_json(self, lang: str = "en") -> dict[str, Any]:
        """Give what ``--json`` prints.

        Parameters
        ----------
        lang : "en" or "zh"

        Returns
        -------
        dict
        """
        return {
            "profile": self.profile,
            "functions": [
                {
                    "name": f.name,
                    "status": f.status,
                    "max_rel_error": finite(f.max_rel_error),
                    "diagnoses": [
                        {"code": d.code, "message": d.message(lang)} for d in f.diagnoses
                    ],
                }
                for f in self.functions
            ],
            "passed": self.passed,
            "failed": self.failed,
        }


def finite(value: float | None) -> float | None:
    """Give None for a number that JSON cannot hold.

    Parameters
    ----------
    value : float or None

    Returns
    -------
    float or None
    """
    return value if value is not None and math.isfinite(value) else None
